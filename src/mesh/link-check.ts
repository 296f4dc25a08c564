import type { Connection, Libp2p } from '@libp2p/interface'
import { type Clock, isMeshError, MeshError, type Random } from '../core/base/index.ts'
import { isRelayed } from './connections.ts'
import { startDeadline, within } from './deadline.ts'
import type { LogRecord } from './mesh.ts'
import type { Timers } from './ports.ts'
import { Pinger } from './ping.ts'
import { shortPeerId } from './protocol-host.ts'

export interface LinkCheckOptions {
  readonly libp2p: Libp2p
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  readonly log: (record: LogRecord) => void
}

/** A round trip over a relay on the other side of the world, with a packet lost. */
const answerMs = 3_000

/** After addresses changed, here or there: connections whose far end does not answer are ended now. TCP would notice in a quarter of an hour. */
export class LinkCheck {
  readonly #options: LinkCheckOptions

  constructor(options: LinkCheckOptions) {
    this.#options = options
  }

  /** Pings over every open connection and aborts those that do not answer within 3 s. */
  async check(): Promise<void> {
    await this.#checkAll(this.#options.libp2p.getConnections())
  }

  /** A peer that is connected directly connects again: maybe its addresses changed. Does the same for its older connections. */
  async checkOlder({ remotePeer, id }: Connection): Promise<void> {
    const connections = this.#options.libp2p.getConnections(remotePeer)
    const older = connections.slice(
      0,
      connections.findIndex((connection) => connection.id === id)
    )
    await this.#checkAll(older.filter((connection) => !isRelayed(connection)))
  }

  async #checkAll(connections: readonly Connection[]): Promise<void> {
    await Promise.all(connections.filter(({ status }) => status === 'open').map((connection) => this.answers(connection)))
  }

  /** Whether the far end of a connection answers within 3 s; if it does not, the connection is ended. */
  async answers(connection: Connection): Promise<boolean> {
    const { log, timers } = this.#options
    const pinger = new Pinger({ ...this.#options, connect: () => Promise.resolve(connection) })
    using deadline = startDeadline(timers, { operation: 'an answer over a connection', timeoutMs: answerMs })
    try {
      await within(deadline, pinger.ping(connection.remotePeer.toString(), { count: 1, timeoutMs: answerMs }))
      return true
    } catch (cause) {
      // A peer of other software refuses the ping: that is an answer.
      if (connection.status !== 'open' || !isMeshError(cause, 'TIMEOUT')) return connection.status === 'open'
      const peer = connection.remotePeer.toString()
      log({ level: 'info', event: 'connection.lost', fields: { peer: shortPeerId(peer), address: connection.remoteAddr.toString() } })
      connection.abort(new MeshError('PEER_UNREACHABLE', { peer, reason: 'it does not answer' }, { cause }))
      return false
    }
  }
}
