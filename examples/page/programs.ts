/** The stages of a compiled function as text, made when somebody asks for one. */
import type { Lowered } from "sinter";

export interface Programs {
  /** From now on shows these stages. */
  show(lowered: Lowered): void;
}

type Stage = Parameters<Lowered["text"]>[0];

/** `details` holds a choice of stages and a place for the text. */
export function programsIn(details: HTMLDetailsElement): Programs {
  const choice = details.querySelector("select")!;
  const place = details.querySelector("pre")!;
  let shown: Lowered | undefined;
  const update = (): void => {
    if (!details.open || shown === undefined) return;
    try {
      place.textContent = shown.text(choice.value as Stage);
    } catch (error) {
      place.textContent = error instanceof Error ? error.message : String(error);
    }
    place.scrollTop = 0;
  };
  details.addEventListener("toggle", update);
  choice.addEventListener("change", update);
  return {
    show(lowered) {
      shown = lowered;
      details.hidden = false;
      update();
    },
  };
}
