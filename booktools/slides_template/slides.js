// Start the deck; the address keeps the slide, s opens the speaker's view.
Reveal.initialize({
  width: 1280,
  height: 800,
  margin: 0.02,
  center: false,
  hash: true,
  slideNumber: "c/t",
  transition: "none",
  plugins: [RevealNotes],
});
