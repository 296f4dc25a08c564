import { equalBytes, isMeshError, MeshError, toHex, wallMillis } from '../../core/base/index.ts'
import {
  encodeGroupContent,
  groupFrameLimits,
  groupLimits,
  openGroupContent,
  openGroupFrame,
  readGroupFrame,
  ReplayWindow,
  sealGroupFrame,
  type GroupFrame,
  type OpenGroupContent
} from '../../core/group/index.ts'
import {
  decodeEnvelope,
  encodeEnvelope,
  type Envelope,
  type InboundMessage,
  type Instant,
  loopLimits,
  type MessageDraft,
  remainingLifeMs
} from '../../core/message/index.ts'
import type { GossipPort, GossipVerdict } from '../cards.ts'
import type { Submitted } from '../delivery-calls.ts'
import type { LogRecord } from '../mesh.ts'
import { gossipTopic } from '../network-ids.ts'
import { keyOf } from '../peer-book.ts'
import type { Platform } from '../ports.ts'
import { shortPeerId } from '../protocol-host.ts'
import { TokenBuckets } from '../token-buckets.ts'
import type { Tracker } from '../tracker.ts'
import type { GroupKeys, StoredGroupKey } from './group-keys.ts'
import { memberEnvelope, openTemplate, templateOf } from './group-template.ts'
import type { GroupCarrier, GroupDirectory, KnownGroup } from './group-types.ts'

/** What the carrier needs of delivery. */
export interface GroupDelivery {
  now(): Instant
  submit(draft: MessageDraft, park?: { readonly at: Instant; readonly parkMs: number }): Promise<Submitted>
  gossiped(ids: readonly string[], isGiven: boolean): void
  heard(message: InboundMessage, envelope: Envelope): void
}

/** What opens a frame, and who published it. */
interface ReadableFrom {
  readonly key: StoredGroupKey
  readonly group: KnownGroup
  readonly sender: Uint8Array
}

export interface GroupGossipOptions {
  readonly platform: Pick<Platform, 'clock' | 'crypto' | 'signer' | 'verifier' | 'sha256'> & {
    readonly deliveryStore: Pick<Platform['deliveryStore'], 'loadOutbox'>
  }
  readonly gossip: GossipPort
  readonly network: string
  readonly directory: GroupDirectory
  readonly keys: GroupKeys
  readonly delivery: GroupDelivery
  readonly tracker: Tracker
  readonly log: (record: LogRecord) => void
  /** With `onion_routing` on nothing is gossiped: gossip names its sender to the whole network. */
  readonly onionRouting: boolean
  readonly onFrame: (event: GroupFrameEvent) => void
  /** How long a member may take to say that it has a gossiped message, default 3,000 ms. */
  readonly parkMs?: number
}

/** What happened to a frame: for metrics. */
export type GroupFrameEvent = 'published' | 'unheard' | 'passed' | 'opened' | 'repeated' | 'limited' | 'refused'

/** Frames and bytes that are passed on of one signer, of one neighbour (signers cost nothing to make), and of all; in a second, with a burst of ten times as many. */
const rates = { signerFrames: 4, signerBytes: 65_536, neighbourBytes: 524_288, allBytes: 1_048_576 } as const
/** What a node sends itself stays well below what others pass on. */
const ownShare = 0.5
const maxWindows = 4_096
/** What a content has besides its body and a few bytes for each member. */
const contentOverhead = 1_536
const bytesOfMember = 5

/** Carries messages of large groups: one frame by gossip for all members, and an ordinary message for each who has not said that it stored its own. */
export class GroupGossip implements GroupCarrier {
  readonly #options: GroupGossipOptions
  readonly #windows = new Map<string, ReplayWindow>()
  readonly #signerFrames: TokenBuckets
  readonly #signerBytes: TokenBuckets
  readonly #neighbourBytes: TokenBuckets
  readonly #allBytes: TokenBuckets
  readonly #ownFrames: TokenBuckets
  readonly #ownBytes: TokenBuckets

  constructor(options: GroupGossipOptions) {
    this.#options = options
    const { clock } = options.platform
    const buckets = (perSecond: number): TokenBuckets => new TokenBuckets({ clock, perSecond, burst: 10 * perSecond })
    this.#signerFrames = buckets(rates.signerFrames)
    this.#signerBytes = buckets(rates.signerBytes)
    this.#neighbourBytes = buckets(rates.neighbourBytes)
    this.#allBytes = buckets(rates.allBytes)
    this.#ownFrames = buckets(ownShare * rates.signerFrames)
    this.#ownBytes = buckets(ownShare * rates.signerBytes)
  }

  /** Passes frames on from now on, and opens those that are for this node. */
  start(): void {
    const { gossip, network } = this.#options
    gossip.subscribe(gossipTopic(network, 'group'), (from, data, via) => this.heard({ from, via }, data))
  }

  async submit(group: KnownGroup, drafts: readonly MessageDraft[]): Promise<readonly PromiseSettledResult<Submitted>[]> {
    const { delivery, parkMs = 3_000, tracker } = this.#options
    const key = this.#keyFor(group, drafts)
    const at = delivery.now()
    const park = key === undefined ? undefined : { at, parkMs }
    const outcomes = await Promise.allSettled(drafts.map((draft) => delivery.submit(draft, park)))
    const fresh = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' && !outcome.value.duplicate ? [outcome.value] : []))
    if (key !== undefined && fresh.length > 0) tracker.track('a message to a group', this.#publish({ group, key, at }, fresh))
    return outcomes
  }

  /**
   * Judges a frame that `from` signed and `via` handed over. Cheap checks first: size, rates, format, key, window; then the cipher, then the signature. What only who has the key can
   * judge is never a `reject`: gossip holds that against the neighbour who passed it on, and could not know.
   */
  heard({ from, via }: { readonly from: string; readonly via: string }, data: Uint8Array): GossipVerdict {
    let verdict: GossipVerdict = 'reject'
    try {
      if (data.length > groupFrameLimits.bytes) return this.#note('refused', verdict)
      if (!this.#isWithinRates(from, via, data.length)) return this.#note('limited', 'ignore')
      const frame = readGroupFrame(data)
      const known = this.#options.keys.find(frame.tag)
      verdict = 'ignore'
      return known === undefined ? this.#note('passed', 'accept') : this.#open({ ...known, sender: keyOf(from) }, frame)
    } catch (error) {
      const code = isMeshError(error) ? error.code : 'INTERNAL'
      this.#options.log({ level: 'debug', event: 'gossip.group-refused', fields: { peer: shortPeerId(from), code } })
      return this.#note('refused', verdict)
    }
  }

  #isWithinRates(from: string, via: string, bytes: number): boolean {
    return (
      this.#neighbourBytes.take(via, bytes) &&
      this.#signerFrames.take(from) &&
      this.#signerBytes.take(from, bytes) &&
      this.#allBytes.take('all', bytes)
    )
  }

  #note(event: GroupFrameEvent, verdict: GossipVerdict): GossipVerdict {
    this.#options.onFrame(event)
    return verdict
  }

  #open({ key, group, sender }: ReadableFrom, frame: GroupFrame): GossipVerdict {
    const { platform, directory } = this.#options
    // Who is out may have the key of an epoch that others still read.
    if (!directory.isMember(toHex(group.signed.record.id), sender)) return this.#note('refused', 'ignore')
    const window = this.#windowOf(key, sender)
    if (!window.isNew(frame.counter)) return this.#note('repeated', 'ignore')
    const content = openGroupContent(openGroupFrame(platform.crypto, { secret: key, sender }, frame), { sender, verifier: platform.verifier })
    const isOfKey = equalBytes(content.group, key.group) && content.epoch === key.epoch && equalBytes(content.members, key.members)
    if (!isOfKey) throw new MeshError('MESSAGE_MALFORMED', { what: 'group message', reason: 'it was signed for another epoch' })
    const template = openTemplate(content.template, { ...content, source: sender })
    // Only now: whoever has the key could use up the counters of others with frames that they did not sign.
    window.add(frame.counter)
    this.#deliver({ content, template, sequence: content.sequences[key.slot] ?? 0 })
    return this.#note('opened', 'accept')
  }

  #deliver({ content, template, sequence }: { readonly content: OpenGroupContent; readonly template: Envelope; readonly sequence: number }): void {
    const { platform, delivery } = this.#options
    // A sequence of 0: this member was left out, or got the message before.
    if (sequence === 0 || (template.thread?.hop ?? 0) > loopLimits.hops) return
    const envelope = memberEnvelope(template, { key: platform.signer.publicKey, sequence })
    const bytes = encodeEnvelope(envelope)
    const { source, epoch, id, type, priority } = envelope
    const message: InboundMessage = {
      ...{ epoch, sequence, id, type, priority, source: source.key, via: 'direct', envelope: bytes },
      digest: platform.sha256(bytes),
      proof: content.proof,
      received: delivery.now(),
      ttlMs: remainingLifeMs(envelope, content.sentAt),
      standing: 'member'
    }
    delivery.heard(message, envelope)
  }

  #windowOf({ tag }: StoredGroupKey, sender: Uint8Array): ReplayWindow {
    const name = `${toHex(tag)} ${toHex(sender)}`
    const window = this.#windows.get(name) ?? new ReplayWindow()
    // Back to the end: the one used longest ago is forgotten first. A frame that is opened twice is still known by its sequence.
    this.#windows.delete(name)
    if (this.#windows.size >= maxWindows) this.#windows.delete(this.#windows.keys().next().value ?? '')
    this.#windows.set(name, window)
    return window
  }

  /** The key, when the message can be gossiped at all: the group is large, its epoch has a key, the message is small, and this node has not sent too much of late. */
  #keyFor(group: KnownGroup, drafts: readonly MessageDraft[]): StoredGroupKey | undefined {
    const { keys, onionRouting } = this.#options
    const { members } = group.signed.record
    const [first] = drafts
    if (onionRouting || first === undefined || members.length <= groupLimits.directMembers || drafts.some((draft) => !isAlike(draft, first)))
      return undefined
    const bytes = first.body.length + contentOverhead + bytesOfMember * members.length
    const key = keys.current(group)
    if (key === undefined || bytes > groupFrameLimits.contentBytes) return undefined
    return this.#ownFrames.take('own') && this.#ownBytes.take('own', bytes) ? key : undefined
  }

  async #publish(
    message: { readonly group: KnownGroup; readonly key: StoredGroupKey; readonly at: Instant },
    rows: readonly Submitted[]
  ): Promise<void> {
    const { delivery, gossip, network } = this.#options
    const ids = rows.map(({ entry }) => entry.id)
    let neighbours = 0
    try {
      neighbours = await gossip.publish(gossipTopic(network, 'group'), await this.#frame(message, rows))
    } finally {
      this.#options.onFrame(neighbours > 0 ? 'published' : 'unheard')
      delivery.gossiped(ids, neighbours > 0)
    }
  }

  // oxlint-disable-next-line max-lines-per-function -- one frame
  async #frame(
    { group, key, at }: { readonly group: KnownGroup; readonly key: StoredGroupKey; readonly at: Instant },
    rows: readonly Submitted[]
  ): Promise<Uint8Array> {
    const { platform, keys } = this.#options
    const { signer, crypto, clock, deliveryStore } = platform
    const [stored] = await deliveryStore.loadOutbox(rows.slice(0, 1).map(({ entry }) => entry.id))
    if (stored === undefined) throw new MeshError('INTERNAL', { reason: 'a message that was committed is gone' })
    const envelope = decodeEnvelope(stored.envelope)
    const sequences = new Map(rows.map(({ entry }) => [toHex(entry.destination), entry.sequence]))
    const content = encodeGroupContent(
      {
        group: key.group,
        epoch: key.epoch,
        message: envelope.group?.message ?? envelope.id,
        members: key.members,
        sentAt: wallMillis(Math.max(envelope.timestamp, Math.floor(at.wall + clock.monotonic() - at.monotonic))),
        sequences: group.signed.record.members.map((member) => sequences.get(toHex(member.key)) ?? 0),
        template: templateOf(envelope)
      },
      signer
    )
    const counter = await keys.counter(key)
    return sealGroupFrame(crypto, { secret: key, sender: signer.publicKey }, { counter, content })
  }
}

/** Whether two drafts are one message for two members. */
function isAlike(a: MessageDraft, b: MessageDraft): boolean {
  return (
    a.via === 'direct' &&
    a.destination.label === b.destination.label &&
    equalBytes(a.body, b.body) &&
    a.type === b.type &&
    a.group?.message === b.group?.message
  )
}
