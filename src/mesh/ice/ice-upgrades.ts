import type { Connection, Libp2p, Upgrader } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { MeshError, toMeshError } from '../../core/base/index.ts'
import { type CandidatePair, type ConnectionPath, pathOfPair } from '../../core/nat/index.ts'
import type { Paths } from '../connections.ts'
import { handshakeErrorIn } from '../hybrid-noise/failures.ts'
import type { LogRecord } from '../mesh.ts'
import type { Platform } from '../ports.ts'
import { shortPeerId } from '../protocol-host.ts'
import type { OpenedChannel } from './ice-attempt.ts'
import { IceConnection } from './ice-connection.ts'

export interface IceConnected {
  readonly connection: Connection
  readonly path: ConnectionPath
}

export interface IceUpgradesOptions {
  readonly libp2p: Libp2p
  readonly upgrader: Upgrader
  readonly platform: Pick<Platform, 'clock' | 'timers'>
  readonly paths: Pick<Paths, 'note'>
  readonly log: (record: LogRecord) => void
}

const upgradeMs = 5_000
/** How long ICE may take for its final choice once there is a way. */
const choiceMs = 1_000
const choiceStepMs = 50
const lastLookMs = 8_000

/** Makes libp2p connections of data channels. */
export class IceUpgrades {
  readonly #options: IceUpgradesOptions

  constructor(options: IceUpgradesOptions) {
    this.#options = options
  }

  /** The first way is often the TURN server's, and a direct one follows at once: that one is waited for a moment. */
  async #finalPair({ agent, told, policy, settled: chosen }: OpenedChannel): Promise<CandidatePair | undefined> {
    const { timers } = this.#options.platform
    let isChosen = policy === 'turn'
    void chosen.then(() => (isChosen = true))
    for (let waitedMs = 0; waitedMs < choiceMs; waitedMs += choiceStepMs) {
      const pair = agent.pair()
      if (pair === undefined || isChosen || pathOfPair(pair, told) !== 'turn') return pair
      await new Promise<void>((resolve) => void timers.schedule(choiceStepMs, resolve))
    }
    return agent.pair()
  }

  /** ICE may leave the TURN server later still, where packets are lost: then the connection is told as what it has become. */
  #follow({ agent, told }: OpenedChannel, pipe: IceConnection): void {
    const { platform, paths } = this.#options
    const look = (delayMs: number): void =>
      void platform.timers.schedule(delayMs, () => {
        const pair = pipe.status === 'open' ? agent.pair() : undefined
        if (pair === undefined) return
        const path = pathOfPair(pair, told)
        if (path !== 'turn') paths.note(pipe.remoteAddr, path)
        else if (delayMs < lastLookMs) look(2 * delayMs)
      })
    look(choiceMs)
  }

  /** Puts libp2p's own encryption and streams over the channel; the peer proves its identity anew. */
  async upgrade(opened: OpenedChannel, peerId: string, direction: 'inbound' | 'outbound'): Promise<IceConnected> {
    const { libp2p, upgrader, paths, platform } = this.#options
    const { channel, told } = opened
    const pair = await this.#finalPair(opened)
    const startedAt = platform.clock.monotonic()
    if (pair === undefined) throw failed(peerId, 'the way was lost again')
    const { address, port } = pair.remote
    const remoteAddr = multiaddr(`/ip${address.includes(':') ? 6 : 4}/${address}/udp/${port}/webrtc-direct/p2p/${peerId}`)
    const pipe = new IceConnection({ channel, remoteAddr, direction, log: libp2p.logger.forComponent('synaptic-mesh:ice') })
    const path = pathOfPair(pair, told)
    pipe.addEventListener('close', paths.note(remoteAddr, path), { once: true })
    try {
      const signal = AbortSignal.timeout(upgradeMs)
      const connection = await (direction === 'outbound' ? upgrader.upgradeOutbound(pipe, { signal }) : upgradeInbound(this.#options, pipe, signal))
      const ms = Math.round(platform.clock.monotonic() - startedAt)
      this.#options.log({ level: 'info', event: 'ice.connected', fields: { peer: shortPeerId(peerId), path, direction, handshakeMs: ms } })
      if (path === 'turn' && opened.policy !== 'turn') this.#follow(opened, pipe)
      return { connection, path }
    } catch (cause) {
      pipe.abort(toMeshError(cause))
      throw handshakeErrorIn(cause, peerId) ?? failed(peerId, `the handshake over it failed: ${toMeshError(cause).message}`, cause)
    }
  }
}

/** libp2p does not hand out inbound connections: it announces them. */
async function upgradeInbound({ libp2p, upgrader }: IceUpgradesOptions, pipe: IceConnection, signal: AbortSignal): Promise<Connection> {
  let found: Connection | undefined
  const onOpen = ({ detail }: CustomEvent<Connection>): void => {
    if (detail.remoteAddr === pipe.remoteAddr) found = detail
  }
  libp2p.addEventListener('connection:open', onOpen)
  try {
    await upgrader.upgradeInbound(pipe, { signal })
  } finally {
    libp2p.removeEventListener('connection:open', onOpen)
  }
  if (found === undefined) throw new MeshError('INTERNAL', { reason: 'libp2p announced no connection' })
  return found
}

const failed = (peer: string, reason: string, cause?: unknown): MeshError => new MeshError('ICE_FAILED', { peer, reason }, { cause })
