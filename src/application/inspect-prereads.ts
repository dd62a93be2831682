// Runs in: worker
import type { ListenerSpec } from '../domain/listener-spec.ts';
import { EdgeError } from '../errors.ts';
import type { Inspection, PrereadInspector } from './ports/preread-inspector.ts';

/** The inspector that `spec` asks for; `null`: there is none here. */
export type InspectorFor = (spec: ListenerSpec) => PrereadInspector | null;

const REFUSED: Inspection = { kind: 'refuse' };

/** Who looks at the first bytes of a listener's clients. */
export class InspectPrereads {
  readonly #inspectorFor: InspectorFor;
  /** By the listeners' numbers. */
  readonly #inspectors = new Map<number, PrereadInspector>();

  constructor(inspectorFor: InspectorFor) {
    this.#inspectorFor = inspectorFor;
  }

  /** @throws EDGE_ERR_INTERNAL for a listener that asks for a look that nobody here takes: it must not be served without */
  add(listener: number, spec: ListenerSpec): void {
    if (spec.preread === undefined) return;
    const inspector = this.#inspectorFor(spec);
    if (inspector === null)
      throw new EdgeError('EDGE_ERR_INTERNAL', `nothing here looks at the first bytes of the clients of ${spec.name}`);
    this.#inspectors.set(listener, inspector);
  }

  /** `complete`: there will be no more bytes, so that what does not suffice now never will. */
  inspect(listener: number, bytes: Uint8Array, complete: boolean): Inspection {
    const inspection = this.#inspectors.get(listener)?.(bytes) ?? REFUSED;
    return inspection.kind === 'more' && complete ? REFUSED : inspection;
  }
}
