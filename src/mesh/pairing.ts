import type { Libp2p } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { MeshError, type WallMillis, equalBytes, isMeshError, toMeshError, wallMillis } from '../core/base/index.ts'
import {
  type Card,
  type Invite,
  type InviterInput,
  InviterMachine,
  type InviterOutput,
  type JoinerInput,
  JoinerMachine,
  type JoinerOutput,
  type KnownInvite,
  type PairingOptions,
  checkInvite,
  decodeInvite,
  encodeInvite,
  inviteIdOf,
  inviteLimits
} from '../core/peers/index.ts'
import type { CardService } from './cards.ts'
import { addressOfPeer } from './connections.ts'
import { startDeadline } from './deadline.ts'
import type { FrameStream } from './frame-stream.ts'
import type { LogRecord } from './mesh.ts'
import { peerIdOfKey } from './peer-keys.ts'
import type { PairRecord, Platform } from './ports.ts'
import { type ProtocolHost, shortPeerId } from './protocol-host.ts'
import { FrameExchange } from './request.ts'

export interface PairingServiceOptions {
  readonly libp2p: Libp2p
  readonly host: ProtocolHost
  readonly platform: Pick<Platform, 'clock' | 'random' | 'signer' | 'verifier' | 'timers' | 'peerStore' | 'hmac'>
  readonly cards: CardService
  readonly network: string
  /** Public addresses where this node listens that nobody has confirmed yet: whoever gets an invite may try them. */
  readonly unconfirmed: () => readonly string[]
  readonly log: (record: LogRecord) => void
  /** The peer is in the store, committed: keep it connected, release its held messages. Also when an earlier pairing was only repeated. */
  readonly onPaired: (pair: PairRecord) => void
}

export interface JoinOptions {
  /** Our own name for the peer; '' or left out = none. */
  readonly alias?: string
  readonly signal?: AbortSignal
  /** For all of it, default 20,000. */
  readonly timeoutMs?: number
}

const defaultExpiryS = 86_400
const maxAddresses = 16
const answerTimeoutMs = 8_000

/** Gives out invites, serves who comes with one, and joins with one. See docs/wire/pairing.md. */
export class PairingService {
  readonly #options: PairingServiceOptions

  constructor(options: PairingServiceOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    await this.#options.host.serve('pair', (stream) => this.#serve(stream))
  }

  /** A new invite, for one peer. Resolves when it is stored. @param options.expiresInS 60–604,800, default 86,400 */
  async createInvite(options: { readonly expiresInS?: number } = {}): Promise<{ readonly invite: string; readonly expiresAt: WallMillis }> {
    const { expiresInS = defaultExpiryS } = options
    if (!Number.isInteger(expiresInS) || expiresInS < 60 || expiresInS > 604_800)
      throw new MeshError('OPTION_INVALID', { path: 'expires_in', value: expiresInS, allowed: 'a number of seconds from 60 to 604800' })
    const { platform, network, libp2p, unconfirmed } = this.#options
    const secret = platform.random.bytes(inviteLimits.secretBytes)
    const expiresAt = wallMillis(Math.ceil(platform.clock.wall() / 1_000 + expiresInS) * 1_000)
    await platform.peerStore.saveInvite({ inviteId: inviteIdOf(secret), secret, expiresAt, failures: 0, usedBy: '' })
    const addresses = inviteAddresses(
      libp2p.getMultiaddrs().map((address) => address.toString()),
      unconfirmed()
    )
    return { invite: encodeInvite({ network, publicKey: platform.signer.publicKey, secret, expiresAt, addresses }), expiresAt }
  }

  /**
   * Pairs with the peer that gave out `text`. Resolves when both sides have committed.
   * @throws {MeshError} INVITE_INVALID, INVITE_EXPIRED, INVITE_USED, NETWORK_MISMATCH, PEER_UNREACHABLE, IDENTITY_MISMATCH, OPTION_INVALID, TIMEOUT, ABORTED
   */
  async join(text: string, options: JoinOptions = {}): Promise<PairRecord> {
    const { platform, network } = this.#options
    const { timeoutMs = 20_000, signal, alias = '' } = options
    const invite = decodeInvite(text)
    // The inviter's clock decides whether it has expired; ours may be wrong.
    checkInvite(invite, { network, now: wallMillis(0) })
    if (equalBytes(invite.publicKey, platform.signer.publicKey)) throw new MeshError('INVITE_INVALID', { reason: 'it is of this node itself' })
    await this.#checkAlias(alias, invite.publicKey)
    using deadline = startDeadline(platform.timers, { operation: 'join', timeoutMs, signal })
    try {
      const card = await this.#ask(invite, deadline.signal)
      return await this.#save(invite.publicKey, card, { alias, addresses: invite.addresses })
    } catch (error) {
      if (deadline.signal.aborted) throw deadline.error()
      if (isMeshError(error, 'PEER_UNREACHABLE') && invite.expiresAt <= platform.clock.wall())
        throw new MeshError('INVITE_EXPIRED', {}, { cause: error })
      throw error
    }
  }

  async #ask(invite: Invite, signal: AbortSignal): Promise<Card> {
    const { libp2p, host, platform } = this.#options
    const peerId = peerIdOfKey(invite.publicKey)
    await this.#offer(libp2p, peerId, invite.addresses)
    const stream = await host.open(peerId, 'pair', signal)
    try {
      const machine = new JoinerMachine({ ...this.#machineOptions(stream), invite })
      const exchange = new FrameExchange(stream, { operation: 'pairing', timeoutMs: answerTimeoutMs, timers: platform.timers, signal })
      return await this.#runJoiner(machine, stream, exchange)
    } finally {
      void stream.close()
    }
  }

  async #runJoiner(machine: JoinerMachine, stream: FrameStream, exchange: FrameExchange): Promise<Card> {
    for (let input: JoinerInput = { type: 'start' }; ; input = { type: 'frame', frame: await exchange.next() }) {
      for (const output of machine.handle(input, this.#options.platform.clock.monotonic())) {
        const card = await this.#joinerOutput(output, stream)
        if (card !== undefined) return card
      }
    }
  }

  async #joinerOutput(output: JoinerOutput, stream: FrameStream): Promise<Card | undefined> {
    if (output.type === 'failed') throw output.error
    if (output.type === 'paired') return output.card
    await stream.send(output.frame)
    return undefined
  }

  async #serve(stream: FrameStream): Promise<void> {
    const machine = new InviterMachine(this.#machineOptions(stream))
    for await (const frame of stream.frames()) {
      const ended = await this.#inviterInput(machine, { type: 'frame', frame }, stream)
      if (ended) return
    }
  }

  /** Feeds the machine and carries out what it says, in order; whether the pairing ended. */
  async #inviterInput(machine: InviterMachine, input: InviterInput, stream: FrameStream): Promise<boolean> {
    let ended = false
    for (const output of machine.handle(input, this.#options.platform.clock.monotonic())) {
      const next = await this.#inviterOutput(output, stream)
      if (output.type === 'paired' || output.type === 'failed') ended = true
      if (next !== undefined && (await this.#inviterInput(machine, next, stream))) ended = true
    }
    return ended
  }

  async #inviterOutput(output: InviterOutput, stream: FrameStream): Promise<InviterInput | undefined> {
    const { peerStore, clock } = this.#options.platform
    switch (output.type) {
      case 'send':
        await stream.send(output.frame)
        return undefined
      case 'look-up':
        return { type: 'invite', invite: await this.#lookUp(output.inviteId, stream.peerId), now: clock.wall() }
      case 'count-failure':
        await peerStore.failInvite(output.inviteId)
        return { type: 'failure-counted' }
      case 'redeem':
        return this.#redeem(output.inviteId, output.card, stream)
      case 'paired':
        return undefined
      case 'failed':
        this.#options.log({
          level: 'warn',
          event: output.error.code,
          fields: { what: 'pairing', peer: shortPeerId(stream.peerId), reason: output.error.message }
        })
        return undefined
      default:
        return output satisfies never
    }
  }

  async #redeem(inviteId: Uint8Array, card: Card, stream: FrameStream): Promise<InviterInput> {
    const pair = await this.#pairOf(stream.publicKey, card, { alias: '', addresses: [] })
    try {
      await this.#options.platform.peerStore.redeem(inviteId, pair)
    } catch (error) {
      return { type: 'not-redeemed', error: toMeshError(error) }
    }
    this.#options.onPaired(pair)
    return { type: 'redeemed' }
  }

  async #lookUp(inviteId: Uint8Array, peerId: string): Promise<KnownInvite | undefined> {
    const { peerStore } = this.#options.platform
    const invite = await peerStore.invite(inviteId)
    if (invite === undefined) return undefined
    const isOurs = invite.usedBy === peerId && (await peerStore.pairs()).some((pair) => pair.peerId === peerId)
    return {
      secret: invite.secret,
      expiresAt: invite.expiresAt,
      failures: invite.failures,
      usedBy: invite.usedBy === '' ? 'nobody' : isOurs ? 'this-peer' : 'another'
    }
  }

  async #save(publicKey: Uint8Array, card: Card, more: PairExtras): Promise<PairRecord> {
    const pair = await this.#pairOf(publicKey, card, more)
    await this.#options.platform.peerStore.savePair(pair)
    this.#options.onPaired(pair)
    return pair
  }

  /** What is stored of a peer: its name is pinned the first time; a later pairing does not change an alias that it does not give. */
  async #pairOf(publicKey: Uint8Array, card: Card, { alias, addresses }: PairExtras): Promise<PairRecord> {
    const { peerStore, clock } = this.#options.platform
    const peerId = peerIdOfKey(publicKey)
    const before = (await peerStore.pairs()).find((pair) => pair.peerId === peerId)
    const all = [...new Set([...card.addresses, ...addresses].map((address) => addressOfPeer(address, peerId)))].filter((address) =>
      address.endsWith(`/p2p/${peerId}`)
    )
    return {
      publicKey,
      peerId,
      name: card.name,
      alias: alias === '' ? (before?.alias ?? '') : alias,
      addresses: all.slice(0, maxAddresses),
      pairedAt: before?.pairedAt ?? clock.wall()
    }
  }

  async #checkAlias(alias: string, publicKey: Uint8Array): Promise<void> {
    if (alias === '') return
    const taken = (await this.#options.platform.peerStore.pairs()).some((pair) => pair.alias === alias && !equalBytes(pair.publicKey, publicKey))
    if (taken) throw new MeshError('OPTION_INVALID', { path: 'alias', value: alias, allowed: 'a name that no other peer has' })
  }

  async #offer(libp2p: Libp2p, peerId: string, addresses: readonly string[]): Promise<void> {
    const usable = addresses.flatMap((address) => {
      try {
        return [multiaddr(`${address}/p2p/${peerId}`)]
      } catch {
        return []
      }
    })
    if (usable.length > 0) await libp2p.peerStore.merge(peerIdFromString(peerId), { multiaddrs: usable })
  }

  #machineOptions(stream: FrameStream): PairingOptions {
    const { platform, network, cards } = this.#options
    return {
      network,
      ownKey: platform.signer.publicKey,
      peerKey: stream.publicKey,
      ownCard: cards.own(),
      random: platform.random,
      verifier: platform.verifier,
      hmac: (key, bytes) => platform.hmac(key, bytes)
    }
  }
}

interface PairExtras {
  readonly alias: string
  readonly addresses: readonly string[]
}

/**
 * Addresses for an invite, without /p2p: those that reach furthest first, then those over relays, then public ones that nobody has confirmed, of IPv6 one;
 * loopback only when there is nothing else.
 */
export function inviteAddresses(announced: readonly string[], unconfirmed: readonly string[] = []): readonly string[] {
  const bare = [...new Set(announced.map((address) => address.replace(/\/p2p\/[^/]+$/, '')))]
  const isLoopback = (address: string): boolean => address.startsWith('/ip4/127.') || address.startsWith('/ip6/::1/')
  const isLocal = (address: string): boolean =>
    /^\/ip4\/(10|192\.168|172\.(1[6-9]|2\d|3[01])|169\.254)\./.test(address) || /^\/ip6\/(fe80|f[cd])/.test(address)
  const others = bare.filter((address) => !isLoopback(address))
  if (others.length === 0 && unconfirmed.length === 0) return bare.slice(0, inviteLimits.addresses)
  const own = others.filter((address) => !isAtRelay(address))
  const atRelays = spread(others.filter(isAtRelay))
  const doubtful = [
    ...unconfirmed.filter((address) => address.startsWith('/ip4/')),
    ...unconfirmed.filter((address) => address.startsWith('/ip6/') && !address.endsWith('/ws')).slice(0, 1)
  ]
  return [...own.filter((address) => !isLocal(address)), ...atRelays, ...doubtful, ...own.filter(isLocal)].slice(0, inviteLimits.addresses)
}

const isAtRelay = (address: string): boolean => address.endsWith('/p2p-circuit')

/** Of each relay one address in turn, first those on port 443, which everybody may use. */
function spread(atRelays: readonly string[]): readonly string[] {
  const byRelay = Map.groupBy(atRelays, (address) => /\/p2p\/([^/]+)\/p2p-circuit$/.exec(address)?.[1] ?? '')
  const rows = [...byRelay.values()].map((addresses) =>
    addresses.toSorted((a, b) => Number(b.includes('/tcp/443/')) - Number(a.includes('/tcp/443/')))
  )
  const longest = Math.max(0, ...rows.map((row) => row.length))
  return Array.from({ length: longest }, (_, index) => rows.flatMap((row) => row[index] ?? [])).flat()
}
