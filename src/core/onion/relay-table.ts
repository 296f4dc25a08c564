import { type MeshError, type Millis, type Random, after, earliest } from '../base/index.ts'
import { destroyCell } from './cell.ts'
import type { CellQueues, QueueName } from './cell-queues.ts'
import { type CircuitSource, type Fullness, neighbourKey, type RelayLimits, type RelayNeighbour } from './relay-limits.ts'
import type { CircuitEnd, EndOutput } from './circuit-end.ts'
import type { RelayOutput } from './relay-types.ts'
import type { Cell, CellLayer } from './types.ts'

/** How far a circuit of others has come here. */
export type CircuitStage =
  /** The first cell of its CREATE came. */
  | { readonly is: 'half'; readonly first: Uint8Array }
  /** Its handshake waits for its turn, or for work of the client. */
  | { readonly is: 'waiting' }
  /** It ends here, so far. */
  | { readonly is: 'open' }
  /** The next hop is being connected (no `next` yet), or asked. `first` = the first cell of its CREATED. */
  | {
      readonly is: 'extending'
      readonly token: number
      readonly until: Millis
      readonly next: QueueName | undefined
      readonly first: Uint8Array | undefined
    }
  | { readonly is: 'joined'; readonly next: QueueName }

/** What this node has of a circuit once its handshake is done: both layers, and what runs over them between the client and this node. */
export interface RelayLayers {
  readonly forward: CellLayer
  readonly backward: CellLayer
  readonly end: CircuitEnd
}

/** One circuit of others. */
export interface RelayCircuit {
  /** This node's own number for it. */
  readonly id: number
  readonly source: CircuitSource
  /** Its name on the link that it came over. */
  readonly back: QueueName
  readonly bornAt: Millis
  usedAt: Millis
  stage: CircuitStage
  layers: RelayLayers | undefined
  /** RELAY_EARLY cells that came forward. */
  early: number
}

export interface RelayLink {
  readonly id: number
  readonly opener: 'us' | 'peer'
  neighbour: RelayNeighbour
  key: string
  readonly circuits: Map<number, RelayCircuit>
}

/** From which side a circuit's end came; `here` = this node ends it, `failed` = it does after it told the client why. */
export type EndedBy = 'back' | 'next' | 'here' | 'failed'

export interface RelayTableEvents {
  /** A circuit ended, however that was. */
  readonly ended: (circuit: RelayCircuit) => void
  /** The link to its next hop closed; the circuit is to be ended. */
  readonly nextGone: (circuit: RelayCircuit, now: Millis) => void
}

export const relayTimes = {
  /** A CREATE of two cells that is not answered, an EXTEND that nobody answers. */
  stepMs: 10_000,
  idleMs: 720_000,
  lifeMs: 3_600_000
} as const

const lookEveryMs = 1_000

/** Circuits for whose opener something waits, beyond which he is told of no end of any more: he reads nothing. */
const maxUnread = 1_024

/** The circuits of others that run through this node, the links that they use, and what waits to be sent. */
export class RelayTable {
  readonly links = new Map<number, RelayLink>()
  readonly circuits = new Map<number, RelayCircuit>()
  readonly queues: CellQueues
  readonly limits: RelayLimits
  readonly random: Random
  readonly #on: RelayTableEvents
  #effects: RelayOutput[] = []
  readonly #ready = new Set<number>()
  #lastId = 0
  #stuck = 0
  #dueAt: Millis | undefined

  constructor(options: { readonly queues: CellQueues; readonly limits: RelayLimits; readonly random: Random; readonly on: RelayTableEvents }) {
    this.queues = options.queues
    this.limits = options.limits
    this.random = options.random
    this.#on = options.on
  }

  /** When the circuits are to be looked through for those that are over their time. */
  get dueAt(): Millis | undefined {
    return this.#dueAt
  }

  /** Circuits that were ended since nobody took their cells. */
  get stuck(): number {
    return this.#stuck
  }

  /** What is to happen since the last call. */
  takeEffects(): readonly RelayOutput[] {
    const effects = this.#effects
    this.#effects = []
    for (const link of this.#ready) effects.push({ type: 'ready', link })
    this.#ready.clear()
    return effects
  }

  effect(output: RelayOutput): void {
    this.#effects.push(output)
  }

  /** Says that a link has cells, once for each call of the machine. */
  ready(link: number): void {
    this.#ready.add(link)
  }

  openLink(id: number, opener: 'us' | 'peer', neighbour: RelayNeighbour): void {
    if (this.links.has(id)) return
    const key = neighbourKey(neighbour)
    this.links.set(id, { id, opener, neighbour, key, circuits: new Map() })
    this.queues.openLink(id, key)
  }

  /** Counts a link for somebody else from now on; the circuits that it has stay counted as they are. */
  identify(id: number, neighbour: RelayNeighbour): void {
    const link = this.links.get(id)
    if (link === undefined) return
    link.neighbour = neighbour
    link.key = neighbourKey(neighbour)
  }

  /** Forgets a link; its circuits end towards the other side. */
  closeLink(id: number, now: Millis): void {
    const link = this.links.get(id)
    if (link === undefined) return
    this.links.delete(id)
    this.queues.closeLink(id)
    this.#ready.delete(id)
    for (const circuit of [...link.circuits.values()]) {
      if (link.opener === 'us') this.#on.nextGone(circuit, now)
      else this.end(circuit, 'back', now)
    }
  }

  /** Gives up a link whose peer broke the rules. */
  breakLink(link: RelayLink, error: MeshError, now: Millis): void {
    this.closeLink(link.id, now)
    this.effect({ type: 'close-link', link: link.id, error })
  }

  /** Takes up a circuit, when the limits let it in. */
  enter(link: RelayLink, circuit: number, first: { readonly body: Uint8Array; readonly now: Millis }): RelayCircuit | undefined {
    const source: CircuitSource = { link: link.id, kind: link.neighbour.kind, key: link.key }
    const fullness = this.limits.fullness(source)
    if (fullness !== undefined && !this.#makeRoom(link, fullness, first.now)) return undefined
    this.limits.enter(source)
    this.#lastId += 1
    const entered: RelayCircuit = {
      id: this.#lastId,
      source,
      back: { link: link.id, circuit },
      bornAt: first.now,
      usedAt: first.now,
      stage: { is: 'half', first: first.body },
      layers: undefined,
      early: 0
    }
    this.due(after(first.now, relayTimes.stepMs))
    link.circuits.set(circuit, entered)
    this.circuits.set(entered.id, entered)
    return entered
  }

  /** Answers a CREATE that is not taken, unless so many answers wait for that link already. */
  refuse({ link, circuit }: QueueName, now: Millis): void {
    this.#tell({ link, circuit }, now)
  }

  /** Queues a cell of a circuit; a full queue ends it. */
  send(circuit: RelayCircuit, to: { readonly link: number; readonly cell: Cell }, now: Millis): void {
    if (circuit.layers === undefined) return
    if (this.queues.push(to.link, to.cell, now)) this.ready(to.link)
    else this.#endStuck(circuit, now)
    for (let queue = this.queues.overflow(); queue !== undefined; queue = this.queues.overflow()) this.#shed(queue, now)
  }

  /** Carries out what this node's end of a circuit gave out, but for the messages that are for its owner. */
  perform(circuit: RelayCircuit, outputs: readonly EndOutput[], now: Millis): void {
    const { link, circuit: number } = circuit.back
    for (const output of outputs) {
      if (output.type === 'cell')
        this.send(circuit, { link, cell: { circuit: number, command: output.command, body: output.body, hasRoom: true } }, now)
      else if (output.type !== 'message' && output.type !== 'pong') this.effect({ type: 'stream', circuit: circuit.id, event: output })
    }
  }

  /** Forgets the name of a circuit on a link whose peer ended it there. */
  detach({ link, circuit }: QueueName): void {
    this.links.get(link)?.circuits.delete(circuit)
    this.queues.drop({ link, circuit })
  }

  /** Has the circuits looked through at this time, if not before. */
  due(at: Millis): void {
    this.#dueAt = earliest(this.#dueAt, at)
  }

  /** The circuits that are over their time; the next look is when the next one can be, a second later at the earliest. */
  overdue(now: Millis): readonly RelayCircuit[] {
    if (this.#dueAt === undefined || now < this.#dueAt) return []
    this.#dueAt = undefined
    const over: RelayCircuit[] = []
    for (const circuit of this.circuits.values()) {
      const deadline = deadlineOf(circuit)
      if (deadline <= now) over.push(circuit)
      else this.due(deadline)
    }
    if (this.#dueAt !== undefined) this.#dueAt = after(now, Math.max(lookEveryMs, this.#dueAt - now))
    return over
  }

  /**
   * Ends a circuit. What came before a DESTROY is still sent on before it; when this node ends it, nothing is.
   */
  end(circuit: RelayCircuit, by: EndedBy, now: Millis): void {
    if (!this.circuits.delete(circuit.id)) return
    this.limits.leave(circuit.source)
    this.#part(circuit.back, { quiet: by === 'back', keep: by === 'next' || by === 'failed' }, now)
    const next = nextOf(circuit)
    if (next !== undefined) this.#part(next, { quiet: by === 'next', keep: by === 'back' }, now)
    circuit.layers?.forward.wipe()
    circuit.layers?.backward.wipe()
    circuit.layers = undefined
    this.#on.ended(circuit)
  }

  /**
   * Ends a circuit of whoever has most: a neighbour when all places are taken, a link when its neighbour's are. Of his circuits it is the one that was
   * used longest ago. False when who asks has as many himself.
   */
  #makeRoom(link: RelayLink, fullness: Fullness, now: Millis): boolean {
    if (fullness === 'link') return false
    const key = fullness === 'neighbour' ? link.key : this.limits.heaviest()
    if (key === undefined || (fullness === 'all' && this.limits.circuitsOf(key) <= this.limits.circuitsOf(link.key) + 1)) return false
    let fullest: RelayLink | undefined
    for (const other of this.links.values())
      if (other.key === key && other.opener === 'peer' && other.circuits.size > (fullest?.circuits.size ?? 0)) fullest = other
    if (fullest === undefined || (fullness === 'neighbour' && fullest.circuits.size <= link.circuits.size + 1)) return false
    let oldest: RelayCircuit | undefined
    for (const circuit of fullest.circuits.values()) if (oldest === undefined || circuit.usedAt < oldest.usedAt) oldest = circuit
    if (oldest === undefined) return false
    this.end(oldest, 'here', now)
    return true
  }

  #part(side: QueueName, how: { readonly quiet: boolean; readonly keep: boolean }, now: Millis): void {
    this.links.get(side.link)?.circuits.delete(side.circuit)
    if (!how.keep) this.queues.drop(side)
    if (!how.quiet && this.links.has(side.link)) this.#tell(side, now)
  }

  /** Says that a circuit is no more. */
  #tell({ link, circuit }: QueueName, now: Millis): void {
    if (this.links.get(link)?.opener === 'peer' && this.queues.circuitsWaiting(link) >= maxUnread) return
    this.queues.push(link, destroyCell(circuit, 'destroyed', this.random), now)
    this.ready(link)
  }

  // Each turn ends a circuit, or drops the queue of one that ended before: it comes to an end.
  #shed(queue: QueueName, now: Millis): void {
    this.queues.drop(queue)
    const circuit = this.links.get(queue.link)?.circuits.get(queue.circuit)
    if (circuit !== undefined) this.#endStuck(circuit, now)
  }

  #endStuck(circuit: RelayCircuit, now: Millis): void {
    this.#stuck += 1
    this.end(circuit, 'here', now)
  }
}

/** The circuit's name on the link to its next hop, when there is one. */
export const nextOf = ({ stage }: RelayCircuit): QueueName | undefined => (stage.is === 'extending' || stage.is === 'joined' ? stage.next : undefined)

/** When a circuit is to end if nothing happens. */
function deadlineOf({ stage, bornAt, usedAt }: RelayCircuit): Millis {
  if (stage.is === 'half' || stage.is === 'waiting') return after(bornAt, relayTimes.stepMs)
  if (stage.is === 'extending') return stage.until
  return after(bornAt, Math.min(relayTimes.lifeMs, usedAt - bornAt + relayTimes.idleMs))
}
