/** Values of each factor, by its name. */
export type Factors = Readonly<Record<string, readonly string[]>>;
export type Choice = Readonly<Record<string, string>>;

/**
 * Few choices of a value for each factor such that every two values of two factors meet in one of them. Greedy and
 * always the same: each choice is the one of all that has most of the pairs still missing.
 */
export function pairwise(factors: Factors): Choice[] {
  const missing = new Set(allChoices(factors).flatMap(pairsOf));
  const choices: Choice[] = [];
  while (missing.size > 0) {
    let best: Choice = {};
    let most = 0;
    for (const choice of allChoices(factors)) {
      const count = pairsOf(choice).filter((pair) => missing.has(pair)).length;
      if (count <= most) continue;
      most = count;
      best = choice;
    }
    for (const pair of pairsOf(best)) missing.delete(pair);
    choices.push(best);
  }
  return choices;
}

function allChoices(factors: Factors): Choice[] {
  return Object.entries(factors).reduce<Choice[]>(
    (choices, [name, values]) =>
      choices.flatMap((choice) => values.map((value) => ({ ...choice, [name]: value }))),
    [{}],
  );
}

/** The pairs of values that a choice has, as text. */
export function pairsOf(choice: Choice): string[] {
  const values = Object.entries(choice).map(([name, value]) => `${name}=${value}`);
  return values.flatMap((one, n) => values.slice(n + 1).map((other) => `${one} ${other}`));
}
