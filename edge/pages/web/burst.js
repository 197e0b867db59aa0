// Tells a scanner that types from a person who types, by how fast the keys come. Pure: fed with
// keys and their times, it says what each of them means.

/** The usual gap between two keys of a scanner is at most this, in ms; a person's is 80 and more. */
const USUAL = 45;

/** One gap may be as long as this where the machine is busy; a longer one begins anew. */
const LONGEST = 250;

/** So many keys make a code: nobody presses four at that speed. */
const LEAST = 4;

/** An Enter so soon after another key ends a scan, or is its second line end: it presses nothing. */
const QUIET = 60;

const ENDS = new Set(["Enter", "Tab"]);

export class Burst {
  #text = "";
  #gaps = [];
  #last = -Infinity;
  #lastKey = -Infinity;
  #caps = false;

  /** What came so far was a person's. */
  reset() {
    this.#text = "";
    this.#last = -Infinity;
  }

  /**
   * Take a key.
   *
   * Returns `{code}` where it ends a code; `{part}` (how many keys so far) where it belongs to
   * one that has begun; `{quiet: true}` where it must not press anything; `{}` else.
   */
  key({ key, time, ctrl = false, alt = false, caps = false }) {
    const gap = time - this.#last;
    const soon = gap <= LONGEST;
    const early = time - this.#lastKey <= QUIET;
    if (key === "Shift" || key === "CapsLock" || key === "Control" || key === "Alt") return {};
    this.#lastKey = time;
    if (ENDS.has(key) || (ctrl && (key === "j" || key === "m"))) {
      const text = this.#text;
      this.#text = "";
      this.#last = -Infinity;
      if (soon && text.length >= LEAST && median([...this.#gaps, gap]) <= USUAL) return { code: this.#caps ? swapped(text) : text };
      return early ? { quiet: true } : {};
    }
    // FNC1 comes as Ctrl+], as an F key or as the character itself, by how the scanner is set.
    const separator = (ctrl && key === "]") || key === "\x1d" || (gap <= USUAL && this.#text && /^F\d+$/.test(key));
    const letter = separator ? "\x1d" : key.length === 1 && !ctrl && !alt ? key : "";
    if (!letter) {
      this.#text = "";
      return {};
    }
    this.#gaps = soon ? [...this.#gaps, gap] : [];
    this.#text = soon ? this.#text + letter : letter;
    this.#last = time;
    this.#caps = caps;
    return { part: this.#text.length, separator };
  }
}

const median = (gaps) => gaps.toSorted((a, b) => a - b)[gaps.length >> 1];

/** With CapsLock on, a scanner's capitals arrive small and its small letters as capitals. */
const swapped = (text) =>
  [...text].map((c) => (c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase())).join("");
