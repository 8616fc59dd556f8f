// A list that follows the newest rests while its reader has scrolled away from the top: rows must not move
// under the eyes. Back at the top it goes on by itself, unless the reader paused it.

const AWAY_PX = 160;

export function startTail(isPaused: () => boolean, togglePause: () => void): void {
  const list = document.querySelector<HTMLElement>("[data-tail]");
  if (!list) return;
  const top = list.getBoundingClientRect().top + scrollY;
  let own = false;
  addEventListener(
    "scroll",
    () => {
      const away = scrollY > top + AWAY_PX;
      if (away && !isPaused()) {
        own = true;
        togglePause();
      } else if (!away && own) {
        own = false;
        if (isPaused()) togglePause();
      }
    },
    { passive: true },
  );
  document.querySelector("#pause")?.addEventListener("click", () => {
    own = false;
  });
}
