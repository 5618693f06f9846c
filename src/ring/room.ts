import type { Reserve } from './plan.js';
import { MAP_ALIGNMENT } from './xsk-plan.js';

/** Bytes from one offset to before another. */
export interface Area {
  readonly from: number;
  readonly to: number;
}

/** A part of linear memory out of which areas are taken while lanes run, and given back. */
export class Room {
  readonly #from: number;
  readonly #to: number;
  /** Those that are taken, in their order. */
  #areas: readonly Area[] = [];

  /** Both ends are multiples of MAP_ALIGNMENT. */
  constructor(from: number, to: number) {
    this.#from = from;
    this.#to = to;
  }

  /**
   * Takes the first area that is large enough for all that `plan` reserves. `plan` is called more than once, and must
   * reserve the same each time. Undefined: there is none.
   */
  take<T>(plan: (reserve: Reserve) => T): { readonly plan: T; readonly area: Area } | undefined {
    const size = sizeOf(plan);
    let from = this.#from;
    for (const area of this.#areas) {
      if (area.from - from >= size) break;
      from = area.to;
    }
    if (this.#to - from < size) return undefined;
    const area = { from, to: from + size };
    this.#areas = [...this.#areas, area].sort((one, other) => one.from - other.from);
    return { plan: plan(reserveFrom(from).reserve), area };
  }

  /** Nobody may use the area any more. */
  giveBack(area: Area): void {
    this.#areas = this.#areas.filter((one) => one !== area);
  }
}

/** Bytes that all take that `plan` reserves, a multiple of MAP_ALIGNMENT. */
export function sizeOf(plan: (reserve: Reserve) => unknown): number {
  const { reserve, end } = reserveFrom(0);
  plan(reserve);
  return Math.ceil(end() / MAP_ALIGNMENT) * MAP_ALIGNMENT;
}

function reserveFrom(start: number): { readonly reserve: Reserve; readonly end: () => number } {
  let end = start;
  const reserve = (size: number, alignment: number): number => {
    const address = Math.ceil(end / alignment) * alignment;
    end = address + size;
    return address;
  };
  return { reserve, end: () => end };
}
