// The timeline follows the player: the window that plays is marked, and a click on a window plays from there.
const player = () => document.querySelector(".favor-player video, .favor-player audio");

const follow = () => {
  const media = player();
  for (const box of document.querySelectorAll(".favor-timeline .box")) {
    const begin = Number(box.dataset.begin), end = Number(box.dataset.end);
    const now = media !== null && media.currentTime > 0 && media.currentTime >= begin && media.currentTime < end;
    box.classList.toggle("now", now);
    if (now) box.querySelector(".cursor").style.left = `${(100 * (media.currentTime - begin)) / (end - begin)}%`;
  }
  if (media !== null && !media.paused) requestAnimationFrame(follow);
};

// Media events do not bubble, but they can be caught on their way down.
for (const name of ["play", "seeked", "pause", "ended"]) document.addEventListener(name, follow, true);

// What the model does not hear is not played: the attribute alone mutes only players that begin with it.
const mute = (changes) => { for (const { target } of changes) target.muted = target.hasAttribute("muted"); };
new MutationObserver(mute).observe(document, { subtree: true, attributeFilter: ["muted"] });

document.addEventListener("click", (event) => {
  const box = event.target.closest(".favor-timeline .box");
  const media = player();
  if (box !== null && media !== null) media.currentTime = Number(box.dataset.begin) + 0.001;
});
