{
  // Answers stand encoded in the buttons; a choice shows its own explanation, and may be changed.
  const section = document.getElementById(QUIZ_ID);
  const decode = (text) =>
    JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(text), (character) => character.charCodeAt(0))));
  const questions = [...section.querySelectorAll(".quiz-question")];
  const firstTries = new Map();
  questions.forEach((question) => {
    const answer = question.querySelector(".quiz-answer");
    const choices = [...question.querySelectorAll(".quiz-choice")];
    choices.forEach((choice) => {
      choice.setAttribute("aria-pressed", "false");
      choice.addEventListener("click", () => {
        const [right, because] = decode(choice.dataset.answer);
        choices.forEach((other) => other.setAttribute("aria-pressed", String(other === choice)));
        choice.classList.add(right ? "quiz-right" : "quiz-wrong");
        answer.className = "quiz-answer " + (right ? "quiz-right" : "quiz-wrong");
        answer.innerHTML = (right ? "<strong>✓ Right.</strong> " : "<strong>✗ Not right.</strong> ") + because;
        if (!firstTries.has(question)) firstTries.set(question, right);
        if (firstTries.size === questions.length) {
          const right = [...firstTries.values()].filter(Boolean).length;
          section.querySelector(".quiz-score").textContent =
            `${right} of ${questions.length} right at the first try.`;
        }
      });
    });
  });
}
