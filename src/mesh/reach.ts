import type { Connection, Libp2p } from '@libp2p/interface'
import type { MeshOptions } from '../core/options/index.ts'
import { isRelayed, type Paths } from './connections.ts'
import type { Dialler } from './dialler.ts'
import type { HealthFinding, LogRecord } from './mesh.ts'
import type { NatPorts } from './nat-ports.ts'
import type { PeerBook } from './peer-book.ts'
import type { Platform } from './ports.ts'
import { type ProtocolHost, shortPeerId } from './protocol-host.ts'
import type { Tracker } from './tracker.ts'

export interface ReachOptions {
  readonly libp2p: Libp2p
  readonly ports: NatPorts
  readonly platform: Platform
  readonly options: MeshOptions
  readonly host: ProtocolHost
  readonly book: PeerBook
  readonly paths: Paths
  readonly dialler: Dialler
  readonly tracker: Tracker
  readonly log: (record: LogRecord) => void
  /** A direct connection to a peer stands beside a relayed one: what goes to it shall take the direct one. Resolves when it does. */
  readonly move: (peerId: string) => Promise<void>
}

/** How long a relayed connection stays after the move to a direct one: for what is under way on it, in both directions. */
const lingerMs = 2_000

/** Everything about how peers are reached, and how this node is: relays, NATs, mapped ports, punching, and the move from a relayed to a direct connection. */
export class Reach {
  readonly #options: ReachOptions
  readonly #cancelClosing = new Map<string, () => void>()

  constructor(options: ReachOptions) {
    this.#options = options
  }

  /** Serves its protocols and begins to look around. */
  async start(): Promise<void> {
    this.#options.libp2p.addEventListener('connection:open', this.#onConnection)
    await Promise.resolve()
  }

  async stop(): Promise<void> {
    const { libp2p, dialler } = this.#options
    libp2p.removeEventListener('connection:open', this.#onConnection)
    for (const cancel of this.#cancelClosing.values()) cancel()
    dialler.stop()
    await Promise.resolve()
  }

  findings(): readonly HealthFinding[] {
    return []
  }

  readonly #onConnection = ({ detail }: CustomEvent<Connection>): void => {
    const peerId = detail.remotePeer.toString()
    if (isRelayed(detail) || !this.#options.libp2p.getConnections(detail.remotePeer).some(isRelayed)) return
    this.#options.tracker.track(`the move to a direct connection with ${shortPeerId(peerId)}`, this.#move(detail, peerId))
  }

  async #move(direct: Connection, peerId: string): Promise<void> {
    const { move, log, paths } = this.#options
    await move(peerId)
    log({ level: 'info', event: 'peer.moved', fields: { peer: shortPeerId(peerId), path: paths.of(direct) } })
    this.#closeRelayed(direct, peerId)
  }

  #closeRelayed(direct: Connection, peerId: string): void {
    const { libp2p, platform, tracker } = this.#options
    this.#cancelClosing.get(peerId)?.()
    const close = async (): Promise<void> => {
      this.#cancelClosing.delete(peerId)
      if (direct.status !== 'open') return
      await Promise.all(
        libp2p
          .getConnections(direct.remotePeer)
          .filter(isRelayed)
          .map((connection) => connection.close())
      )
    }
    const cancel = platform.timers.schedule(lingerMs, () => tracker.track('closing a relayed connection', close()))
    this.#cancelClosing.set(peerId, cancel)
  }
}
