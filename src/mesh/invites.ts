import type { Libp2p } from '@libp2p/interface'
import { MeshError, type WallMillis, toHex, wallMillis } from '../core/base/index.ts'
import { encodeInvite, inviteIdOf, inviteLimits, maxInviteFailures } from '../core/peers/index.ts'
import { startDeadline, within } from './deadline.ts'
import { inviteAddresses } from './invite-addresses.ts'
import type { InviteCall, InviteInfo, NewInvite, PairedPeer } from './invite-info.ts'
import type { CallOptions, PeerReference } from './mesh.ts'
import type { InviteRecord, Platform } from './ports.ts'

export interface InviteServiceOptions {
  readonly libp2p: Pick<Libp2p, 'getMultiaddrs'>
  readonly platform: Pick<Platform, 'clock' | 'random' | 'signer' | 'timers' | 'peerStore'>
  readonly network: string
  /** Public addresses where this node listens that nobody has confirmed yet: whoever gets an invite may try them. */
  readonly unconfirmed: () => readonly string[]
  readonly reference: (peerId: string) => PeerReference
  readonly paired: (peerId: string) => PairedPeer | undefined
}

const defaultExpiryS = 86_400
const defaultWaitMs = 600_000
const idPattern = /^[0-9a-f]{4,16}$/

/** The invites that this node gave out. */
export class InviteService {
  readonly #options: InviteServiceOptions
  /** Those who wait for an invite to be used, by its id. */
  readonly #waiting = new Map<string, Set<() => void>>()

  constructor(options: InviteServiceOptions) {
    this.#options = options
  }

  /** A new invite, for one peer. Resolves when it is stored. */
  async create({ expiresInS = defaultExpiryS, commands = true }: InviteCall = {}): Promise<NewInvite> {
    if (!Number.isInteger(expiresInS) || expiresInS < 60 || expiresInS > 604_800)
      throw new MeshError('OPTION_INVALID', { path: 'expires_in', value: expiresInS, allowed: 'a number of seconds from 60 to 604800' })
    const { platform, network, libp2p, unconfirmed } = this.#options
    const secret = platform.random.bytes(inviteLimits.secretBytes)
    const inviteId = inviteIdOf(secret)
    const expiresAt = wallMillis(Math.ceil(platform.clock.wall() / 1_000 + expiresInS) * 1_000)
    await platform.peerStore.saveInvite({ inviteId, secret, expiresAt, failures: 0, usedBy: '', done: false, revoked: false, commands })
    const announced = libp2p.getMultiaddrs().map((address) => address.toString())
    const addresses = inviteAddresses(announced, unconfirmed())
    const invite = encodeInvite({ network, publicKey: platform.signer.publicKey, secret, expiresAt, addresses })
    return { id: toHex(inviteId), invite, expiresAt }
  }

  async list(): Promise<readonly InviteInfo[]> {
    const { platform, reference } = this.#options
    const now = platform.clock.wall()
    return (await platform.peerStore.invites()).map((record) => ({
      id: toHex(record.inviteId),
      state: stateOf(record, now),
      expiresAt: record.expiresAt,
      failures: record.failures,
      commands: record.commands,
      usedBy: record.usedBy === '' ? undefined : reference(record.usedBy)
    }))
  }

  /** Takes an invite back; returns its whole id. @throws {MeshError} INVITE_UNKNOWN, INVITE_USED */
  async revoke(id: string): Promise<string> {
    const record = await this.#find(id)
    if (record.usedBy !== '') throw new MeshError('INVITE_USED')
    if (!record.revoked && !(await this.#options.platform.peerStore.revokeInvite(record.inviteId))) throw new MeshError('INVITE_USED')
    this.changed(record.inviteId)
    return toHex(record.inviteId)
  }

  /**
   * Waits until a peer has used an invite. @throws {MeshError} INVITE_UNKNOWN, INVITE_REVOKED, INVITE_EXPIRED, INVITE_USED (it is burnt), ABORTED,
   * TIMEOUT after `timeoutMs` (default 600,000)
   */
  async wait(id: string, { timeoutMs = defaultWaitMs, signal }: CallOptions = {}): Promise<PairedPeer> {
    const { platform } = this.#options
    using deadline = startDeadline(platform.timers, { operation: 'Waiting for the peer that was invited', timeoutMs, signal })
    const { inviteId, expiresAt } = await this.#find(id)
    for (;;) {
      using changed = this.#nextChange(toHex(inviteId), expiresAt)
      const user = this.#userOf(await platform.peerStore.invite(inviteId))
      if (user !== undefined) return user
      await within(deadline, changed.happened)
    }
  }

  /** The store has something new of this invite. */
  changed(inviteId: Uint8Array): void {
    for (const wake of this.#waiting.get(toHex(inviteId)) ?? []) wake()
  }

  #userOf(record: InviteRecord | undefined): PairedPeer | undefined {
    if (record === undefined) throw new MeshError('INVITE_INVALID', { reason: 'it is no longer known' })
    switch (stateOf(record, this.#options.platform.clock.wall())) {
      case 'open':
        return undefined
      case 'expired':
        throw new MeshError('INVITE_EXPIRED')
      case 'revoked':
        throw new MeshError('INVITE_REVOKED')
      case 'burnt':
        throw new MeshError('INVITE_USED')
      case 'used': {
        const user = this.#options.paired(record.usedBy)
        if (user === undefined) throw new MeshError('INVITE_USED')
        return user
      }
    }
  }

  async #find(id: string): Promise<InviteRecord> {
    const text = id.toLowerCase()
    const found = idPattern.test(text)
      ? (await this.#options.platform.peerStore.invites()).filter(({ inviteId }) => toHex(inviteId).startsWith(text))
      : []
    const [record] = found
    if (record === undefined || found.length > 1) throw new MeshError('INVITE_UNKNOWN', { id: id.slice(0, 32) })
    return record
  }

  /** The next time that something may be new: a change, or the end of its time. */
  #nextChange(id: string, expiresAt: WallMillis): Disposable & { readonly happened: Promise<void> } {
    const { clock, timers } = this.#options.platform
    const { promise: happened, resolve } = Promise.withResolvers<void>()
    const waiting = this.#waiting.get(id) ?? new Set()
    this.#waiting.set(id, waiting.add(resolve))
    const cancel = timers.schedule(Math.min(maxDelayMs, Math.max(1, expiresAt - clock.wall())), resolve)
    const stop = (): void => {
      cancel()
      waiting.delete(resolve)
      if (waiting.size === 0) this.#waiting.delete(id)
    }
    return { happened, [Symbol.dispose]: stop }
  }
}

/** The longest delay of a timer. */
const maxDelayMs = 2 ** 31 - 1

function stateOf({ usedBy, revoked, failures, expiresAt }: InviteRecord, now: WallMillis): InviteInfo['state'] {
  if (usedBy !== '') return 'used'
  if (revoked) return 'revoked'
  if (failures >= maxInviteFailures) return 'burnt'
  return expiresAt <= now ? 'expired' : 'open'
}
