"""Grades out of nbgrader's gradebook, as the file that a learning-management system imports."""

import csv
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry, Student

from booktools.grading import CourseError

FORMATS = ("moodle", "canvas")


def export_grades(course: Path, file: Path, system: str) -> str:
    """Write all grades to a CSV file that Moodle or Canvas imports.

    A student's name in the gradebook, that of the folder in submitted/, is Moodle's "ID number" and Canvas's
    "SIS Login ID". What was not handed in or not graded stays empty, which is not the same as 0.

    Parameters
    ----------
    course : path
        nbgrader's folder.
    file : path
        The file to write.
    system : {"moodle", "canvas"}
        Moodle: the columns of its own export, matched by name at its import
        (https://docs.moodle.org/en/Grade_import). Canvas: the columns that its importer asks for, with the
        row "Points Possible" (``lib/gradebook_importer.rb`` in instructure/canvas-lms).

    Returns
    -------
    str
        What was written, in a sentence.

    Raises
    ------
    CourseError
        If there is no gradebook, or no student in it.
    """
    database = course / "gradebook.db"
    if not database.exists():
        raise CourseError(f"{database}: no gradebook; call make assignments first")
    with Gradebook(f"sqlite:///{database}") as gradebook:
        assignments = sorted(gradebook.assignments, key=lambda assignment: assignment.name)
        names = [assignment.name for assignment in assignments]
        students = sorted(gradebook.students, key=lambda student: student.id)
        if not students:
            raise CourseError(f"{database}: no student in it; grade something first")
        points = {student.id: [_points(gradebook, name, student) for name in names] for student in students}
        if system == "moodle":
            rows = [["First name", "Last name", "ID number", "Email address"]]
            rows[0] += [f"Assignment: {name} (Real)" for name in names]
            rows += [
                [_text(s.first_name), _text(s.last_name), s.id, _text(s.email), *points[s.id]]
                for s in students
            ]
        else:
            rows = [["Student", "ID", "SIS User ID", "SIS Login ID", "Section", *names]]
            possible = [f"{assignment.max_score:g}" for assignment in assignments]
            rows.append(["    Points Possible", "", "", "", "", *possible])
            rows += [[_last_first(s), _text(s.lms_user_id), "", s.id, "", *points[s.id]] for s in students]
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    empty = sum(grades.count("") for grades in points.values())
    return f"{file}: {len(students)} students, {len(names)} assignments, {empty} grades left empty"


def _points(gradebook: Gradebook, assignment: str, student: Student) -> str:
    try:
        submission = gradebook.find_submission(assignment, student.id)
    except MissingEntry:
        return ""
    if submission.needs_manual_grade:  # made when a notebook could not be run: not a grade yet
        return ""
    return f"{max(0.0, submission.score - submission.late_submission_penalty):g}"


def _text(value: str | None) -> str:
    return value or ""


def _last_first(student: Student) -> str:
    return ", ".join(filter(None, [student.last_name, student.first_name])) or student.id
