// Runs in: worker
import type {
  CloseReason,
  Conn,
  DataPlaneEvent,
  Dial as DialRequest,
  RejectHow,
} from '../../../application/ports/data-plane.ts';
import { codeOf } from '../../../errors.ts';
import { ClientPreread, type PrereadSource } from './client-preread.ts';
import type { ConnectionOwner } from './connection-owner.ts';
import { Delivery } from './delivery.ts';
import { Dial } from './dial.ts';
import { dialProblem } from './dial-problem.ts';
import { isGone, type TcpHandle } from './node-internals.ts';
import { type ClientSource, Side, type SideOwner } from './side.ts';
import { Silence } from './silence.ts';

type State =
  /** accepted, or its last dial failed */
  | 'waiting'
  | 'dialling'
  /** bytes flow */
  | 'open'
  /** on its way to `closed`, by `#reason` */
  | 'closing'
  /** told */
  | 'over';

/** One client and its backend, from `accepted` to `closed`. */
export class Connection implements SideOwner {
  readonly #conn: Conn;
  readonly #owner: ConnectionOwner;
  readonly #client: Side;
  readonly #acceptedAt = performance.now();
  #backend: Side | null = null;
  #state: State = 'waiting';
  #reason: CloseReason = 'finished';
  #dial: Dial | null = null;
  /** While bytes may flow. */
  #silence: Silence | null = null;
  /** Until bytes flow; `null` as well: the listener has no preread. */
  #preread: ClientPreread | null;
  /** The last dial's. */
  #request: DialRequest | null = null;
  #contended = false;
  /** How the client is to learn that a contended connection is over, once that was told; `null`: it is not over, or told. */
  #part: (() => void) | null = null;
  #delivery: Delivery | null = null;

  constructor(conn: Conn, owner: ConnectionOwner, client: ClientSource, preread: PrereadSource | null = null) {
    this.#conn = conn;
    this.#owner = owner;
    this.#client = new Side(this, owner.buffers, client, preread?.options.maxBytes);
    this.#preread = preread === null ? null : new ClientPreread(preread, owner.events, this.#client);
  }

  /** `accepted` was told of it. */
  get announced(): boolean {
    return this.#preread?.announced ?? true;
  }

  /** Does not wait for the preread any longer before `accepted` is told. */
  announce(): void {
    this.#preread?.announce();
  }

  prereadMore(): void {
    if (this.#state === 'waiting') this.#preread?.ask();
  }

  /** `false`: the socket of `request`, if it has one, is its caller's still. */
  connect(request: DialRequest): boolean {
    if (this.#state !== 'waiting') return false;
    this.#preread?.takeBack();
    // No backend needs to hear of it.
    if (isGone(this.#client.socket)) {
      this.#fail(this.#client);
      return false;
    }
    const code = dialProblem(request, this.#preread);
    if (code !== '') {
      this.#owner.events.push({ type: 'connectFailed', conn: this.#conn, code, here: code === 'EINVAL' });
      return false;
    }
    const { to, socket } = request;
    this.#request = request;
    this.#contended = request.contended ?? false;
    this.#state = 'dialling';
    const { deadlines, buffers } = this.#owner;
    const backend = new Side(this, buffers, to === undefined ? (socket as TcpHandle) : null);
    this.#backend = backend;
    if (to === undefined) this.#connected(backend, null);
    else this.#dial = new Dial(backend, to, deadlines, (dial) => this.#connected(backend, dial));
    return true;
  }

  reject(how: RejectHow): void {
    if (this.#state !== 'waiting') return;
    this.#close('rejected');
    if (how === 'close') this.#client.endUnread();
    else this.#client.reset();
  }

  /** Resets both sides, in any state. */
  abort(): void {
    if (this.#state === 'closing') {
      // An orderly end that is still going out is cut short too.
      if (this.#part === null) this.#client.reset();
      else this.#part = () => this.#client.reset();
      return;
    }
    this.#close('drained');
    this.#resetBoth();
  }

  /** Once a second, by the engine. `lookIsDue`: at what peers acknowledged, which is done in any case before it is closed. */
  check(now: number, lookIsDue: boolean): void {
    const client = this.#client;
    const backend = this.#backend;
    // It is not read, so there is no event of its reset.
    if ((this.#state === 'waiting' || this.#state === 'dialling') && isGone(client.socket)) this.#fail(client);
    const silence = this.#silence;
    if (this.#state !== 'open' || backend === null || silence === null) return;
    backend.keepAlive();
    const { options, lookAtWire } = this.#owner;
    const sides = [client, backend];
    const moved = silence.isBroken(now, sides);
    if (!moved) for (const side of sides) this.#checkSilent(side);
    if (lookAtWire !== undefined && (lookIsDue || silence.overdue(now, sides, options) !== null)) {
      const vanished = silence.lookAtWire(now, sides, lookAtWire, options.unackedTimeoutMs);
      if (vanished !== undefined) {
        if (!this.sideLost(vanished)) this.#fail(vanished);
        return;
      }
    }
    if (this.#delivery !== null) {
      if (!moved && this.#delivery.isOver(silence.lasted(now), options)) this.#fail(this.#delivery.lost);
      return;
    }
    const reason = silence.overdue(now, sides, options);
    if (reason !== null) this.#expire(reason);
  }

  sideRead(_side: Side, bytes: Buffer): number {
    // Only the client of a listener with a preread is read before the connection is open, and it has one until then.
    return this.#preread?.add(bytes) ?? 0;
  }

  sideLost(side: Side, error?: Error): boolean {
    const other = side === this.#client ? this.#backend : this.#client;
    if (this.#state !== 'open' || other === null || !Delivery.canFollow(side, error)) return false;
    if (this.#delivery !== null) return this.#delivery.lost === side;
    this.#delivery = new Delivery(side, other);
    this.#reason = this.#resetOf(side);
    return true;
  }

  sideFailed(side: Side, error?: Error): void {
    if (this.#state === 'dialling' && side === this.#backend) this.#dial?.fail(codeOf(error) || 'ECONNABORTED');
    else if (this.#state !== 'closing' && this.#state !== 'over') this.#fail(side);
  }

  sideEnded(side: Side): void {
    if (this.#state !== 'open') {
      if (side === this.#client) this.#preread?.end();
      return;
    }
    // The silence that the half-close timer measures starts here.
    this.#silence?.restart(performance.now());
    const other = side === this.#client ? this.#backend : this.#client;
    // When both are done, closing says the end as well, and spares a shutdown.
    if (other?.ended !== true || other.socket.writableLength > 0) other?.end();
    else if (!this.#contended || side === this.#client) other.socket.destroy();
    else
      this.#endBoth(
        () => side.socket.destroySoon(),
        () => other.socket.destroy(),
      );
  }

  sideClosed(side: Side): void {
    if (this.#state === 'dialling' && side === this.#backend) {
      this.#dial?.stop();
      const code = this.#dial?.error ?? '';
      this.#state = 'waiting';
      this.#backend = null;
      this.#contended = false;
      const here = this.#dial?.refusedHere === true;
      this.#owner.events.push({ type: 'connectFailed', conn: this.#conn, code, here });
    } else {
      // The other side has got all that there was.
      if (this.#delivery !== null && this.#delivery.lost !== side) this.#delivery.lost.socket.destroy();
      if (this.#backend === null || this.#backend.closed) this.#backendClosed();
    }
  }

  /** `dial`: `null` for a backend that was connected before. */
  #connected(backend: Side, dial: Dial | null): void {
    if (this.#state !== 'dialling') return;
    dial?.stop();
    this.#state = 'open';
    const now = performance.now();
    this.#silence = new Silence(now);
    this.#owner.events.push({ type: 'connected', conn: this.#conn, rttMs: dial === null ? 0 : now - dial.startedAt });
    const client = this.#client;
    const preread = this.#preread;
    preread?.stop();
    this.#preread = null;
    backend.start(client);
    if (this.#request?.prefix !== undefined) backend.tell(this.#request.prefix);
    client.start(backend, preread?.rest(this.#request?.skip ?? 0));
    // Its end came with the preread, when there was nobody to pass it on to.
    if (client.ended) this.sideEnded(client);
  }

  #checkSilent(side: Side): void {
    side.rest();
    // One that is not being read gets no event of a reset.
    if (this.#delivery === null && (side.paused || side.ended) && isGone(side.socket)) side.probe();
  }

  #close(reason: CloseReason): void {
    this.#dial?.stop();
    this.#preread?.stop();
    this.#state = 'closing';
    this.#reason = reason;
  }

  /** Resets both sides, because that one failed, or another one before it. */
  #fail(side: Side): void {
    this.#close(this.#delivery === null ? this.#resetOf(side) : this.#reason);
    this.#resetBoth();
  }

  #resetOf(side: Side): CloseReason {
    return side === this.#client ? 'client_reset' : 'backend_reset';
  }

  #expire(reason: CloseReason): void {
    this.#close(reason);
    this.#endBoth(
      () => this.#backend?.expire(),
      () => this.#client.expire(),
    );
  }

  #resetBoth(): void {
    this.#endBoth(
      () => this.#backend?.reset(),
      () => this.#client.reset(),
    );
  }

  #endBoth(endBackend: () => void, endClient: () => void): void {
    // Before there is anything to wait for: it may be closed already.
    this.#part = this.#contended ? endClient : null;
    endBackend();
    if (this.#part === null) endClient();
    else if (this.#backend?.closed === true) this.#backendClosed();
  }

  /** The client may be closed as well. */
  #backendClosed(): void {
    if (this.#client.closed) {
      this.#client.releaseBuffer();
      this.#backend?.releaseBuffer();
    }
    if (this.#state !== 'over' && (this.#client.closed || this.#part !== null)) this.#tellClosed();
  }

  #tellClosed(): void {
    const { events } = this.#owner;
    if (this.#contended) events.pushFirst(this.#closedEvent(), () => this.#part?.());
    else if (this.announced) events.push(this.#closedEvent());
    this.#state = 'over';
    this.#owner.ended(this.#conn);
  }

  #closedEvent(): DataPlaneEvent {
    return {
      type: 'closed',
      conn: this.#conn,
      reason: this.#reason,
      bytesToBackend: this.#client.bytes,
      bytesToClient: this.#backend?.bytes ?? 0,
      durationMs: performance.now() - this.#acceptedAt,
    };
  }
}
