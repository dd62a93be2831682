import { REFERENCE } from './contestants.ts';
import { type Kind, type Measure, type Target, type Verdict, verdict } from './measures.ts';
import { pairedRatios, type Summary, summary } from './statistics.ts';

/** One line of the table. */
export interface Row extends Summary {
  readonly measure: string;
  readonly unit: string;
  readonly contestant: string;
  readonly better: Measure['better'];
  readonly rounds: number;
  /** To HAProxy: of each round's ratio. `rounds`: those that have one. */
  readonly ratio: (Summary & { readonly rounds: number }) | null;
  readonly target: Target | null;
  readonly reached: Verdict;
}

/** What the rounds gave; each notes one value of a measure for each contestant. */
export class Results {
  readonly #kinds = new Map<string, Kind | null>();
  readonly #values = new Map<Measure, Map<string, number[]>>();

  /** `kind`: of a contestant that is ours. */
  note(measure: Measure, contestant: { readonly name: string; readonly kind?: Kind | null }, value: number): void {
    this.#kinds.set(contestant.name, contestant.kind ?? null);
    const ofMeasure = this.#values.get(measure) ?? new Map<string, number[]>();
    this.#values.set(measure, ofMeasure);
    const ofContestant = ofMeasure.get(contestant.name) ?? [];
    ofMeasure.set(contestant.name, ofContestant);
    ofContestant.push(value);
  }

  /** By measure in the order given, then by contestant in the order in which the first round had them. */
  rows(measures: readonly Measure[]): Row[] {
    return measures.flatMap((measure) => {
      const values = this.#values.get(measure) ?? new Map<string, number[]>();
      const theirs = values.get(REFERENCE) ?? [];
      return [...values].map(([contestant, mine]) => this.#row(measure, contestant, mine, theirs));
    });
  }

  #row(measure: Measure, contestant: string, mine: readonly number[], theirs: readonly number[]): Row {
    const { name, unit, better, isAbsolute = false } = measure;
    const ratios = pairedRatios(mine, theirs);
    const ratio = ratios.length === 0 ? null : { ...summary(ratios), rounds: ratios.length };
    const target = targetOf(measure, this.#kinds.get(contestant) ?? null);
    const all = summary(mine);
    return {
      measure: name,
      unit,
      contestant,
      better,
      rounds: mine.length,
      ...all,
      ratio,
      target,
      reached: verdict(isAbsolute ? all.median : (ratio?.median ?? null), target, better),
    };
  }
}

function targetOf({ targets }: Measure, kind: Kind | null): Target | null {
  if (kind === null) return null;
  return targets[kind] ?? (kind === 'several epoll' ? targets.epoll : undefined) ?? null;
}
