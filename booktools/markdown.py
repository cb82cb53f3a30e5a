"""From MyST Markdown, which the site reads, to plain Markdown, which any notebook program shows.

Every directive and role that lessons may use has its own small function below; any other is an error, so that
nothing raw can reach a twin unnoticed.
"""

import re
from collections.abc import Callable

import yaml
from sphinx.pycode import ModuleAnalyzer

from booktools.inline import Lesson, UnknownMarkupError, inline

_OPENING = re.compile(
    r"^(?P<indent>\s*)(?P<fence>`{3,}|~{3,}|:{3,})\s*(?:\{(?P<name>[^}]+)\})?\s*(?P<rest>.*)$"
)
_OPTION = re.compile(r"^:([\w-]+):\s*(.*)$")
_LABEL_LINE = re.compile(r"^\([\w.:-]+\)=\s*$")
_DOLLARS = re.compile(r"^\s*\$\$(?P<body>.*?)(?:\$\$\s*(?:\((?P<label>[\w.:-]+)\))?\s*)?$", re.DOTALL)
# What must not remain outside code: a role, a directive's fence, a label.
_RAW = re.compile(
    r"\{[a-z][\w:+-]*\}`|^\s*(?:`{3,}|~{3,}|:{3,})\s*\{|^\s*:{3,}|^\([\w.:-]+\)=\s*$", re.MULTILINE
)


def to_plain(text: str, lesson: Lesson) -> str:
    """Return the MyST `text` of `lesson` as plain Markdown."""
    plain = re.sub(r"\n{3,}", "\n\n", "\n".join(_blocks(text.splitlines(), lesson))).strip()
    if raw := find_raw(plain):
        raise UnknownMarkupError(f"{lesson.place(raw)}: this MyST markup was not understood: {raw!r}")
    return plain


def find_raw(plain: str) -> str | None:
    """Return the first MyST role, directive or label in plain Markdown outside code, or None."""
    without_code = re.sub(r"^(`{3,})(?!\{)[^\n]*\n.*?^\1`*\s*$", "", plain, flags=re.DOTALL | re.MULTILINE)
    without_code = re.sub(r"(?<![`}])(`+)(?!`)[^\n]+?(?<!`)\1(?!`)", "", without_code)
    found = _RAW.search(without_code)
    return found and without_code[found.start() : found.start() + 60]


def _blocks(lines: list[str], lesson: Lesson) -> list[str]:
    """Convert `lines` block by block: fences and displayed formulas on their own, prose as a whole."""
    done: list[str] = []
    prose: list[str] = []

    def end_prose() -> None:
        done.extend(inline("\n".join(prose), lesson).split("\n") if prose else [])
        prose.clear()

    position = 0
    while position < len(lines):
        line = lines[position]
        if opening := _OPENING.match(line):
            end = _closing(lines, position, opening["fence"], lesson)
            end_prose()
            done.extend(_fence(opening, lines[position : end + 1], lesson))
            position = end
        elif line.lstrip().startswith("$$"):
            end = position
            while line.count("$$") < 2:
                end += 1
                line += "\n" + lines[end]
            end_prose()
            dollars = _DOLLARS.match(line)
            done.extend(_formula(dollars["body"], dollars["label"], lesson).split("\n"))
            position = end
        elif _LABEL_LINE.match(line) or line.startswith("% "):
            pass
        else:
            prose.append(line)
        position += 1
    end_prose()
    return done


def _closing(lines: list[str], start: int, fence: str, lesson: Lesson) -> int:
    for number in range(start + 1, len(lines)):
        line = lines[number].strip()
        if line and set(line) == {fence[0]} and len(line) >= len(fence):
            return number
    raise UnknownMarkupError(f"{lesson.place(lines[start])}: {lines[start].strip()!r} is never closed")


def _fence(opening: re.Match, lines: list[str], lesson: Lesson) -> list[str]:
    if not opening["name"]:
        if opening["fence"].startswith(":"):
            place = lesson.place(lines[0])
            raise UnknownMarkupError(f"{place}: a fence {lines[0]!r} without a directive's name")
        return lines
    name, argument = opening["name"], opening["rest"].strip()
    if name not in DIRECTIVES:
        known = ", ".join(sorted(DIRECTIVES))
        raise UnknownMarkupError(f"{lesson.place(lines[0])}: unknown directive {name!r}; known are: {known}")
    indent = opening["indent"]
    options, body = _options([line.removeprefix(indent) for line in lines[1:-1]])
    try:
        result = DIRECTIVES[name](argument, options, body, lesson)
    except UnknownMarkupError:
        raise
    except (KeyError, OSError) as error:
        raise UnknownMarkupError(f"{lesson.place(lines[0])}: {lines[0].strip()!r}: {error}") from error
    return ["", *(indent + line if line else "" for line in result.split("\n")), ""]


def _options(lines: list[str]) -> tuple[dict[str, str], list[str]]:
    """Split a directive's content in its options (``:key: value`` lines, or YAML) and its body."""
    if lines and lines[0].strip() == "---":
        end = next(i for i, line in enumerate(lines[1:], start=1) if line.strip() == "---")
        return yaml.safe_load("\n".join(lines[1:end])) or {}, lines[end + 1 :]
    options = {}
    rest = list(lines)
    while rest and (option := _OPTION.match(rest[0])):
        options[option[1]] = option[2].strip()
        rest.pop(0)
    return options, rest


def _body(lines: list[str], lesson: Lesson) -> str:
    return "\n".join(_blocks(lines, lesson)).strip()


# ---- directives: (argument, options, body, lesson) -> plain Markdown ----


def _formula(body: str, label: str | None, lesson: Lesson) -> str:
    """Display a formula; like Sphinx, let a line break in it work without an environment."""
    body = body.strip()
    if r"\\" in body:
        body = rf"\begin{{split}}{body}\end{{split}}"
    tag = rf" \tag{{{lesson.target(label).words.strip('()')}}}" if label else ""
    return f"$$\n{body}{tag}\n$$"


def _math(argument, options, body, lesson):
    return _formula("\n".join([argument, *body]), options.get("label"), lesson)


def _quoted(title: str, body: str) -> str:
    lines = [f"**{title}**", "", *body.split("\n")]
    return "\n".join(f"> {line}".rstrip() for line in lines)


def _admonition(title: str) -> Callable:
    def convert(argument, options, body, lesson):
        words = [argument, *body] if title else body  # a note's argument is the start of its text
        return _quoted(title or inline(argument, lesson), _body(words if title else body, lesson))

    return convert


def _theorem(argument, options, body, lesson, kind):
    label = options.get("label")
    name = lesson.target(label).words if label else kind.capitalize()
    title = f"**{name}**" + (f" ({inline(argument, lesson)})" if argument else "") + "."
    return _run_in(title, _body(body, lesson))


def _run_in(title: str, text: str) -> str:
    """Put a title before a text: on its first line, unless that begins an equation."""
    return f"{title}\n\n{text}" if text.startswith("$$") else f"{title} {text}"


def _prf(kind: str) -> Callable:
    return lambda argument, options, body, lesson: _theorem(argument, options, body, lesson, kind)


def _proof(argument, options, body, lesson):
    return f"*Proof.* {_body([argument, *body], lesson)} ∎"


def _exercise(argument, options, body, lesson):
    number = lesson.target(options["label"]).words
    return f"### {number}: {inline(argument, lesson)}\n\n{_body(body, lesson)}"


def _solution_start(argument, options, body, lesson):
    return f"#### Solution to {lesson.target(argument).words}\n\n*Try it yourself first.*"


def _solution_end(argument, options, body, lesson):
    return ""


def image_address(lesson: Lesson) -> str:
    """Return the address under which the images in the lesson's folder can be fetched."""
    raw = lesson.address.replace("github.com", "raw.githubusercontent.com", 1)
    return f"{raw}/{lesson.branch}/{lesson.path.parent.name}"


def _figure(argument, options, body, lesson):
    picture = f"![{options.get('alt', '')}]({image_address(lesson)}/{argument})"
    caption = _body(body, lesson)
    if not caption:
        return picture
    return f"{picture}\n\n" + figure_caption(options.get("name"), caption, lesson)


def figure_caption(name: str | None, caption: str, lesson: Lesson) -> str:
    """Return a figure's caption with its number, where it has a name."""
    number = f"**{lesson.target(name).words}.** " if name else ""
    return number + caption


def _tab_set(argument, options, body, lesson):
    return _body(body, lesson)


def _tab_item(argument, options, body, lesson):
    text = _body(body, lesson)
    source = re.match(r"\(`([^`]+)`\)\n\n", text)  # the literalinclude's own heading joins the tab's
    if source:
        return f"**{argument}** (`{source[1]}`)\n\n{text[source.end() :]}"
    return f"**{argument}**\n\n{text}"


def _literalinclude(argument, options, body, lesson):
    unknown = set(options) - {"language", "pyobject", "caption"}
    if unknown:
        place = lesson.place(argument)
        raise UnknownMarkupError(f"{place}: literalinclude cannot do {sorted(unknown)} in a twin")
    path = (lesson.path.parent / argument).resolve()
    shown = path.relative_to(lesson.path.parent.parent.resolve()).as_posix()
    source = path.read_text(encoding="utf-8")
    if name := options.get("pyobject"):
        tags = ModuleAnalyzer.for_file(str(path), shown).find_tags()
        if name not in tags:
            raise UnknownMarkupError(f"{lesson.place(name)}: there is no {name!r} in {shown}")
        _, start, end = tags[name]
        source = "\n".join(source.splitlines()[start - 1 : end])
    return f"(`{shown}`)\n\n```{options.get('language', 'python')}\n{source.rstrip()}\n```"


def _code(argument, options, body, lesson):
    return "\n".join([f"```{argument}", *body, "```"])


def _bibliography(argument, options, body, lesson):
    return "\n".join(lesson.bibliography.formatted(lesson.cited))


DIRECTIVES: dict[str, Callable[[str, dict, list[str], Lesson], str]] = {
    "math": _math,
    "figure": _figure,
    "image": _figure,
    "literalinclude": _literalinclude,
    "code-block": _code,
    "bibliography": _bibliography,
    "tab-set": _tab_set,
    "tab-item": _tab_item,
    "exercise": _exercise,
    "solution-start": _solution_start,
    "solution-end": _solution_end,
    "admonition": _admonition(""),
    "prf:proof": _proof,
}
for _name in ("note", "tip", "hint", "important", "warning", "caution", "seealso"):
    DIRECTIVES[_name] = _admonition("See also" if _name == "seealso" else _name.capitalize())
for _name in ("theorem", "lemma", "proposition", "corollary", "definition", "remark", "algorithm", "example"):
    DIRECTIVES[f"prf:{_name}"] = _prf(_name)
