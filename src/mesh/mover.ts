import type { Connection, Libp2p } from '@libp2p/interface'
import { MeshError } from '../core/base/index.ts'
import { isRelayed, type Paths } from './connections.ts'
import type { LinkCheck } from './link-check.ts'
import type { LogRecord } from './mesh.ts'
import type { Timers } from './ports.ts'
import { shortPeerId } from './protocol-host.ts'
import { protocolTable } from './protocol-table.ts'
import type { Tracker } from './tracker.ts'

export interface MoverOptions {
  readonly libp2p: Pick<Libp2p, 'getConnections'>
  readonly links: Pick<LinkCheck, 'answers'>
  readonly paths: Pick<Paths, 'of'>
  readonly timers: Timers
  readonly tracker: Tracker
  readonly log: (record: LogRecord) => void
  /** Has what goes to a peer take its direct connection. Resolves when it does. */
  readonly move: (peerId: string) => Promise<void>
}

/** How long a relayed connection stays after the move to a direct one: for what is under way on it, in both directions. */
const lingerMs = 2_000

/** Moves what goes to a peer from relayed connections to a direct one, and closes them when nobody needs them any more. */
export class Mover {
  readonly #options: MoverOptions
  readonly #cancelClosing = new Map<string, () => void>()

  constructor(options: MoverOptions) {
    this.#options = options
  }

  stop(): void {
    for (const cancel of this.#cancelClosing.values()) cancel()
  }

  /** To a direct connection that stands beside relayed ones. @throws {MeshError} PEER_UNREACHABLE … when no session opens over it; then it is ended */
  async moveTo(direct: Connection): Promise<void> {
    const { links, move, log, paths } = this.#options
    const peerId = direct.remotePeer.toString()
    // A handshake may come through where nothing else does: the relayed connection is not left for that.
    if (!(await links.answers(direct))) return
    try {
      await move(peerId)
    } catch (error) {
      // A direct connection that carries no session is of no use: the relayed one stays.
      direct.abort(new MeshError('PEER_UNREACHABLE', { peer: peerId, reason: 'no session opens over the direct connection' }, { cause: error }))
      throw error
    }
    log({ level: 'info', event: 'peer.moved', fields: { peer: shortPeerId(peerId), path: paths.of(direct) } })
    this.#closeRelayed(direct, peerId)
  }

  #closeRelayed(direct: Connection, peerId: string): void {
    const { libp2p, timers, tracker } = this.#options
    this.#cancelClosing.get(peerId)?.()
    const close = async (): Promise<void> => {
      this.#cancelClosing.delete(peerId)
      if (direct.status !== 'open') return
      const relayed = libp2p.getConnections(direct.remotePeer).filter((connection) => isRelayed(connection) && !carriesTheirSession(connection))
      await Promise.all(relayed.map((connection) => connection.close()))
    }
    const cancel = timers.schedule(lingerMs, () => tracker.track('closing a relayed connection', close()))
    this.#cancelClosing.set(peerId, cancel)
  }
}

/** The peer moves its sessions itself, and closes the connection then: maybe the direct one does not carry them. */
const carriesTheirSession = ({ streams }: Connection): boolean =>
  streams.some(({ protocol, direction }) => protocol === protocolTable.pqs.id && direction === 'inbound')
