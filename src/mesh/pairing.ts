import type { Libp2p } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { type ErrorCode, MeshError, equalBytes, isMeshError, toMeshError, wallMillis } from '../core/base/index.ts'
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
  pairingPurpose,
  pairingSizes
} from '../core/peers/index.ts'
import { checkAlias } from './alias.ts'
import type { CardService } from './cards.ts'
import { addressOfPeer } from './connections.ts'
import { type Deadline, startDeadline, within } from './deadline.ts'
import type { FrameStream } from './frame-stream.ts'
import type { LogRecord } from './mesh.ts'
import { peerIdOfKey } from './peer-keys.ts'
import type { PairRecord, Platform } from './ports.ts'
import type { PairingWords } from './pairing-words.ts'
import { type ProtocolHost, shortPeerId } from './protocol-host.ts'
import { FrameExchange } from './request.ts'
import type { SessionStream } from './session-stream.ts'
import type { Sessions } from './sessions.ts'

export interface PairingServiceOptions {
  readonly libp2p: Libp2p
  readonly host: Pick<ProtocolHost, 'serve'>
  readonly sessions: Pick<Sessions, 'openPairing' | 'acceptPairing'>
  readonly platform: Pick<Platform, 'clock' | 'signer' | 'verifier' | 'timers' | 'peerStore' | 'hmac'>
  readonly cards: Pick<CardService, 'own'>
  readonly words: PairingWords
  readonly network: string
  /** Nobody is paired with who is blocked, in neither direction. */
  readonly isBlocked: (peerId: string) => boolean
  readonly log: (record: LogRecord) => void
  /** The peer is in the store, committed: keep it connected, release its held messages. Also when an earlier pairing was only repeated. */
  readonly onPaired: (pair: PairRecord) => void
  /** An invite was used, or failed. */
  readonly onInvite: (inviteId: Uint8Array) => void
  /** A pairing came to its end, of who came to us or of ourselves. */
  readonly onEnded: (role: 'inviter' | 'joiner', outcome: 'paired' | ErrorCode) => void
}

export interface JoinOptions {
  /** Our own name for the peer; '' or left out = none. */
  readonly alias?: string
  /** Whether the peer may send Commands to this node; default true. */
  readonly commands?: boolean
  readonly signal?: AbortSignal
  /** For all of it, default 20,000. */
  readonly timeoutMs?: number
}

/** A peer that both sides have committed. */
export interface Joined {
  readonly pair: PairRecord
  /** Three words that the inviter shows, too, unless somebody stood between. */
  readonly words: readonly string[]
}

const maxAddresses = 16
const answerTimeoutMs = 8_000
/** For all that an inviter listens to in one session. */
const servedMs = 20_000

/** Serves who comes with an invite, and joins with one, each inside of a session of its own. See docs/wire/pairing.md. */
export class PairingService {
  readonly #options: PairingServiceOptions

  constructor(options: PairingServiceOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    await this.#options.host.serve('pair', (stream) => this.#serve(stream))
  }

  /**
   * Pairs with the peer that gave out `text`. Resolves when both sides have committed.
   * @throws {MeshError} INVITE_INVALID, INVITE_EXPIRED, INVITE_USED, INVITE_REVOKED, NETWORK_MISMATCH, PEER_UNREACHABLE, IDENTITY_MISMATCH, PEER_BLOCKED, OPTION_INVALID,
   * TIMEOUT, ABORTED, and as `openSession`
   */
  async join(text: string, options: JoinOptions = {}): Promise<Joined> {
    const { platform, network } = this.#options
    const { timeoutMs = 20_000, signal, alias = '' } = options
    const invite = decodeInvite(text)
    // The inviter's clock decides whether it has expired; ours may be wrong.
    checkInvite(invite, { network, now: wallMillis(0) })
    if (equalBytes(invite.publicKey, platform.signer.publicKey)) throw new MeshError('INVITE_INVALID', { reason: 'it is of this node itself' })
    this.#checkBlock(peerIdOfKey(invite.publicKey))
    await this.#checkAlias(alias, invite.publicKey)
    using deadline = startDeadline(platform.timers, { operation: 'join', timeoutMs, signal })
    try {
      const joined = await this.#ask(invite, options, deadline)
      this.#options.onEnded('joiner', 'paired')
      return joined
    } catch (error) {
      this.#options.onEnded('joiner', deadline.signal.aborted ? deadline.error().code : toMeshError(error).code)
      if (deadline.signal.aborted) throw deadline.error()
      if (isMeshError(error, 'PEER_UNREACHABLE') && invite.expiresAt <= platform.clock.wall())
        throw new MeshError('INVITE_EXPIRED', {}, { cause: error })
      throw error
    }
  }

  async #ask(invite: Invite, options: JoinOptions, deadline: Deadline): Promise<Joined> {
    const { libp2p, sessions, platform, words: known } = this.#options
    const { signal } = deadline
    const peerId = peerIdOfKey(invite.publicKey)
    await this.#offer(libp2p, peerId, invite.addresses)
    const session = await sessions.openPairing(invite.publicKey, signal)
    try {
      const machine = new JoinerMachine({ ...this.#machineOptions(session), invite })
      const exchange = new FrameExchange(session, { operation: 'pairing', timeoutMs: answerTimeoutMs, timers: platform.timers, signal })
      // They are known before anything is said: nobody is paired without words to compare.
      const words = await within(deadline, session.words())
      const card = await this.#runJoiner(machine, session, exchange)
      known.note(peerId, words)
      const { alias = '', commands = true } = options
      const pair = await this.#save(invite.publicKey, card, { alias, addresses: invite.addresses, commands })
      await this.#sayDone(machine, session)
      return { pair, words }
    } finally {
      session.close().catch(() => undefined)
    }
  }

  /** Who does not hear it lets us come with the invite again, which harms nobody. */
  async #sayDone(machine: JoinerMachine, session: SessionStream): Promise<void> {
    try {
      for (const output of machine.handle({ type: 'saved' }, this.#options.platform.clock.monotonic()))
        if (output.type === 'send') await session.send(output.frame)
      await session.flush()
    } catch {
      // The inviter left.
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
    this.#checkBlock(stream.peerId)
    const session = await this.#options.sessions.acceptPairing(stream)
    using deadline = startDeadline(this.#options.platform.timers, { operation: 'a pairing', timeoutMs: servedMs })
    const release = deadline.onEnd(() => session.abort(deadline.error()))
    try {
      const serving = { session, words: await session.words(), machine: new InviterMachine(this.#machineOptions(session)) }
      for await (const frame of session.frames()) if (await this.#inviterInput(serving, { type: 'frame', frame })) break
      await session.close()
    } finally {
      release()
    }
  }

  /** Feeds the machine and carries out what it says, in order; whether the pairing ended. */
  async #inviterInput(serving: Serving, input: InviterInput): Promise<boolean> {
    let ended = false
    for (const output of serving.machine.handle(input, this.#options.platform.clock.monotonic())) {
      const next = await this.#inviterOutput(output, serving)
      if (output.type === 'complete' || output.type === 'failed') ended = true
      if (next !== undefined && (await this.#inviterInput(serving, next))) ended = true
    }
    return ended
  }

  async #inviterOutput(output: InviterOutput, { session, words }: Serving): Promise<InviterInput | undefined> {
    const { platform, onInvite } = this.#options
    const { peerStore, clock } = platform
    switch (output.type) {
      case 'send':
        await session.send(output.frame)
        return undefined
      case 'look-up':
        return { type: 'invite', invite: await this.#lookUp(output.inviteId, session.peerId), now: clock.wall() }
      case 'count-failure':
        await peerStore.failInvite(output.inviteId)
        onInvite(output.inviteId)
        return { type: 'failure-counted' }
      case 'redeem':
        return this.#redeem(output.inviteId, output.card, { session, words })
      case 'paired':
        if (output.again) this.#options.words.note(session.peerId, words)
        else this.#options.onEnded('inviter', 'paired')
        return undefined
      case 'complete':
        await peerStore.finishInvite(output.inviteId)
        return undefined
      case 'failed':
        this.#refused(session.peerId, output.error)
        return undefined
      default:
        return output satisfies never
    }
  }

  #refused(peerId: string, error: MeshError): void {
    this.#options.onEnded('inviter', error.code)
    this.#options.log({ level: 'warn', event: error.code, fields: { what: 'pairing', peer: shortPeerId(peerId), reason: error.message } })
  }

  async #redeem(inviteId: Uint8Array, card: Card, { session, words }: Pick<Serving, 'session' | 'words'>): Promise<InviterInput> {
    const { platform, words: known, onPaired, onInvite } = this.#options
    const commands = (await platform.peerStore.invite(inviteId))?.commands === true
    const pair = await this.#pairOf(session.publicKey, card, { alias: '', addresses: [], commands })
    try {
      await platform.peerStore.redeem(inviteId, pair)
    } catch (error) {
      return { type: 'not-redeemed', error: toMeshError(error) }
    }
    known.note(pair.peerId, words)
    onPaired(pair)
    onInvite(inviteId)
    return { type: 'redeemed' }
  }

  async #lookUp(inviteId: Uint8Array, peerId: string): Promise<KnownInvite | undefined> {
    const { peerStore } = this.#options.platform
    const invite = await peerStore.invite(inviteId)
    if (invite === undefined) return undefined
    const isOurs = !invite.done && invite.usedBy === peerId && (await peerStore.pairs()).some((pair) => pair.peerId === peerId)
    return {
      secret: invite.secret,
      expiresAt: invite.expiresAt,
      failures: invite.failures,
      isRevoked: invite.revoked,
      usedBy: invite.usedBy === '' ? 'nobody' : isOurs ? 'this-peer' : 'another'
    }
  }

  async #save(publicKey: Uint8Array, card: Card, more: PairExtras): Promise<PairRecord> {
    const pair = await this.#pairOf(publicKey, card, more)
    // Again: it may have been blocked since the session began. The inviter's store looks itself, with the invite.
    this.#checkBlock(pair.peerId)
    await this.#options.platform.peerStore.savePair(pair)
    this.#options.onPaired(pair)
    return pair
  }

  /** What is stored of a peer: its name is pinned the first time; a later pairing does not change an alias that it does not give. */
  async #pairOf(publicKey: Uint8Array, card: Card, { alias, addresses, commands }: PairExtras): Promise<PairRecord> {
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
      pairedAt: before?.pairedAt ?? clock.wall(),
      commands
    }
  }

  #checkBlock(peerId: string): void {
    if (this.#options.isBlocked(peerId)) throw new MeshError('PEER_BLOCKED', { peer: shortPeerId(peerId) })
  }

  async #checkAlias(alias: string, publicKey: Uint8Array): Promise<void> {
    if (alias === '') return
    const pairs = await this.#options.platform.peerStore.pairs()
    checkAlias(
      alias,
      pairs.filter((pair) => !equalBytes(pair.publicKey, publicKey))
    )
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

  #machineOptions(session: SessionStream): PairingOptions {
    const { platform, network, cards } = this.#options
    return {
      network,
      ownKey: platform.signer.publicKey,
      peerKey: session.publicKey,
      ownCard: cards.own(),
      binding: session.exportSecret(pairingPurpose, new Uint8Array(0), pairingSizes.binding),
      verifier: platform.verifier,
      hmac: (key, bytes) => platform.hmac(key, bytes)
    }
  }
}

interface PairExtras {
  readonly alias: string
  readonly addresses: readonly string[]
  readonly commands: boolean
}

/** One session with a peer that came with an invite. */
interface Serving {
  readonly session: SessionStream
  readonly words: readonly string[]
  readonly machine: InviterMachine
}
