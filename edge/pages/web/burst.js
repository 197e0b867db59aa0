// Tells a scanner that types from a person who types, by how fast the keys come. Pure: fed with
// keys and their times, it says what each of them means.

/** A gap between two keys of one code, in ms; a person types digits at 80 and more. */
const GAP = 45;

/** So many keys make a code: nobody presses four at that speed. */
const LEAST = 4;

/** An Enter so soon after another key ends a scan, or is its second line end: it presses nothing. */
const QUIET = 60;

const ENDS = new Set(["Enter", "Tab"]);

export class Burst {
  #text = "";
  #last = -Infinity;
  #lastKey = -Infinity;
  #caps = false;

  /**
   * Take a key.
   *
   * Returns `{code}` where it ends a code; `{part}` (how many keys so far) where it belongs to
   * one that has begun; `{quiet: true}` where it must not press anything; `{}` else.
   */
  key({ key, time, ctrl = false, alt = false, caps = false }) {
    const soon = time - this.#last <= GAP;
    const early = time - this.#lastKey <= QUIET;
    if (key === "Shift" || key === "CapsLock" || key === "Control" || key === "Alt") return {};
    this.#lastKey = time;
    if (ENDS.has(key) || (ctrl && (key === "j" || key === "m"))) {
      const text = this.#text;
      this.#text = "";
      this.#last = -Infinity;
      if (soon && text.length >= LEAST) return { code: this.#caps ? swapped(text) : text };
      return early ? { quiet: true } : {};
    }
    // FNC1 comes as Ctrl+], as an F key or as the character itself, by how the scanner is set.
    const separator = (ctrl && key === "]") || key === "\x1d" || (soon && this.#text && /^F\d+$/.test(key));
    const letter = separator ? "\x1d" : key.length === 1 && !ctrl && !alt ? key : "";
    if (!letter) {
      this.#text = "";
      return {};
    }
    this.#text = soon ? this.#text + letter : letter;
    this.#last = time;
    this.#caps = caps;
    return { part: this.#text.length, separator };
  }
}

/** With CapsLock on, a scanner's capitals arrive small and its small letters as capitals. */
const swapped = (text) =>
  [...text].map((c) => (c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase())).join("");
