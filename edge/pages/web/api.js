// Asks the node. An answer that did not come is unknown: what has an id of its own is asked for
// again, and what has none is looked at, never repeated.

export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `${status}`);
    this.status = status;
    this.problem = problem;
  }
}

/** The node did not answer: whether it did what was asked, nobody knows yet. */
export class Unanswered extends Error {}

export async function ask(method, path, body) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(30_000),
    });
  } catch (error) {
    throw new Unanswered(String(error));
  }
  let said = {};
  try {
    said = answer.status === 204 ? {} : await answer.json();
  } catch (error) {
    if (answer.ok) throw new Unanswered(String(error));
  }
  if (answer.status === 401) location.assign("/pair");
  if (!answer.ok) throw new Refused(answer.status, said);
  return said;
}

const rest = (ms) => new Promise((done) => setTimeout(done, ms));

/** Ask for something that has an id of its own until it is answered: again is the same thing. */
export async function insist(method, path, body, tries = 6) {
  for (let tried = 1; ; tried++) {
    try {
      return await ask(method, path, body);
    } catch (error) {
      if (!(error instanceof Unanswered) || tried >= tries) throw error;
      await rest(300 * tried);
    }
  }
}
