import { concat, equalBytes, toHex } from '../../core/base/index.ts'
import { encodeControl, groupContentTypes, type GroupControl, isMember, memberChange, type SignedGroup } from '../../core/group/index.ts'
import { type GroupMark, messageLimits, type Via } from '../../core/message/index.ts'
import type { Delivery } from '../delivery.ts'
import type { Platform } from '../ports.ts'
import { TokenBuckets } from '../token-buckets.ts'

const priority = 9
const askEveryMs = 60_000
const maxRemembered = 1_024
/** Questions and answers for one peer: so many at once, and one more a minute. It may name as many groups as it likes. */
const repliesAtOnce = 16
/** How long they wait for it: it has just sent something, and asks or is asked again with the next message. */
const replyTtlS = 3_600

export interface GroupTellerOptions {
  readonly platform: Pick<Platform, 'clock' | 'random' | 'signer' | 'sha256'>
  readonly delivery: Pick<Delivery, 'submit'>
  readonly via: Via
}

interface Word {
  readonly to: Uint8Array
  readonly control: GroupControl
  readonly mark: Omit<GroupMark, 'message'>
  /** What makes the message one of its kind: the same again is no second message. */
  readonly about: Uint8Array
  readonly ttlS?: number
}

/** Says what nodes tell each other about groups: durable messages that are in the outbox when a call resolves. Saying the same again sends nothing. */
export class GroupTeller {
  readonly #options: GroupTellerOptions
  readonly #asked = new Map<string, number>()
  readonly #replies: TokenBuckets

  constructor(options: GroupTellerOptions) {
    this.#options = options
    this.#replies = new TokenBuckets({ clock: options.platform.clock, perSecond: 1_000 / askEveryMs, burst: repliesAtOnce })
  }

  /** A new record, to all who are in it; to those who were, that they are not any more. */
  async record(signed: SignedGroup, before: SignedGroup | undefined): Promise<void> {
    const { record, bytes, hash } = signed
    const mark = { id: record.id, epoch: record.epoch }
    const isEnd = record.members.length === 0
    const { removed } = memberChange(record, before?.record)
    const gone = (before?.record.members ?? []).map(({ key }) => key).filter((key) => removed.includes(toHex(key)))
    const whole: GroupControl = { kind: 'record', record: bytes }
    const told = [...record.members.map(({ key }) => key), ...(isEnd ? gone : [])]
    await this.#sayAll(told.map((to) => ({ to, control: whole, mark, about: hash })))
    if (!isEnd) await this.gone(signed, gone)
  }

  /** To those of `keys` who are not in the record: that they are members no longer, and since which one. */
  async gone({ record, hash }: SignedGroup, keys: readonly Uint8Array[]): Promise<void> {
    const mark = { id: record.id, epoch: record.epoch }
    const control: GroupControl = { kind: 'removed', group: record.id, sequence: record.sequence }
    await this.#sayAll(keys.filter((key) => !isMember(record, key)).map((to) => ({ to, control, mark, about: hash })))
  }

  /** That this node leaves, to all who can take it out of the record. */
  async leave({ record, hash }: SignedGroup): Promise<void> {
    const keys = new Map([record.creator, ...record.mandate.admins].map((key) => [toHex(key), key]))
    const mark = { id: record.id, epoch: record.epoch }
    await this.#sayAll([...keys.values()].map((to) => ({ to, control: { kind: 'leave', group: record.id }, mark, about: hash })))
  }

  /** Asks a peer for the record of a group, at most once a minute. */
  async ask(to: Uint8Array, { id, epoch }: Omit<GroupMark, 'message'>): Promise<void> {
    if (this.#isTooSoon(`ask ${toHex(id)}`, to)) return
    const about = this.#options.platform.random.bytes(16)
    await this.#sayAll([{ to, control: { kind: 'ask', group: id }, mark: { id, epoch }, about, ttlS: replyTtlS }])
  }

  /** Answers a member who asked, at most once a minute. */
  async answer(to: Uint8Array, { record, bytes }: SignedGroup): Promise<void> {
    if (this.#isTooSoon(`answer ${toHex(record.id)} ${toHex(to)}`, to)) return
    const about = this.#options.platform.random.bytes(16)
    const mark = { id: record.id, epoch: record.epoch }
    await this.#sayAll([{ to, control: { kind: 'record', record: bytes }, mark, about, ttlS: replyTtlS }])
  }

  async #sayAll(words: readonly Word[]): Promise<void> {
    const own = this.#options.platform.signer.publicKey
    await Promise.all(words.filter(({ to }) => !equalBytes(to, own)).map((word) => this.#say(word)))
  }

  async #say({ to, control, mark, about, ttlS = messageLimits.ttlS }: Word): Promise<void> {
    const { delivery, platform, via } = this.#options
    const body = encodeControl(control)
    const id = `grc-${toHex(platform.sha256(concat(about, to)).subarray(0, 16))}`
    await delivery.submit({
      id,
      type: 'SwarmSync',
      destination: { kind: 'peer', key: to, label: '' },
      via,
      label: '',
      inReplyTo: undefined,
      expectsReply: false,
      priority,
      ttlS,
      contentType: groupContentTypes.record,
      body,
      group: { ...mark, message: id }
    })
  }

  #isTooSoon(what: string, to: Uint8Array): boolean {
    const now = this.#options.platform.clock.monotonic()
    const last = this.#asked.get(what)
    if (last !== undefined && now - last < askEveryMs) return true
    if (!this.#replies.take(toHex(to))) return true
    this.#asked.delete(what)
    if (this.#asked.size >= maxRemembered) this.#asked.delete(this.#asked.keys().next().value ?? '')
    this.#asked.set(what, now)
    return false
  }
}
