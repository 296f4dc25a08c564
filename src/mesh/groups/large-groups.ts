import { concat, isMeshError, toHex } from '../../core/base/index.ts'
import { decodeGroupKey, groupContentTypes } from '../../core/group/index.ts'
import { messageLimits, type Via } from '../../core/message/index.ts'
import type { GossipPort } from '../cards.ts'
import type { LogRecord } from '../mesh.ts'
import type { Platform } from '../ports.ts'
import type { Tracker } from '../tracker.ts'
import type { ControlDesk } from './control-desk.ts'
import { checkSubject } from './control-rules.ts'
import { type GroupDelivery, GroupGossip, type GroupFrameEvent } from './group-gossip.ts'
import { GroupKeys, type StoredGroupKey } from './group-keys.ts'
import type { ControlHandler, GroupCarrier, GroupChange, GroupDirectory } from './group-types.ts'

export interface LargeGroupsOptions {
  readonly platform: Platform
  readonly gossip: GossipPort
  readonly network: string
  readonly directory: GroupDirectory
  readonly desk: Pick<ControlDesk, 'assign'>
  readonly delivery: GroupDelivery
  readonly tracker: Tracker
  readonly log: (record: LogRecord) => void
  /** The route of keys; over circuits no message is gossiped either. */
  readonly via: Via
  readonly onFrame: (event: GroupFrameEvent) => void
}

/** Below that of records, which say what a key is for. */
const priority = 8
const retryMs = 30_000

/** What groups of more than 32 members need besides their records: a key for each epoch, and gossip. */
export class LargeGroups {
  readonly #options: LargeGroupsOptions
  readonly #keys: GroupKeys
  readonly #gossip: GroupGossip

  constructor(options: LargeGroupsOptions) {
    this.#options = options
    const { platform, directory, via, desk } = options
    const { crypto, random, signer, groupKeyStore } = platform
    this.#keys = new GroupKeys({
      ...{ crypto, random, directory, store: groupKeyStore, ownKey: signer.publicKey },
      tell: (member, key, body) => this.#tell(member, key, body)
    })
    this.#gossip = new GroupGossip({ ...options, keys: this.#keys, onionRouting: via === 'onion' })
    desk.assign(groupContentTypes.key, (message) => this.#learn(message))
  }

  /** How messages to a large group go out. */
  get carrier(): GroupCarrier {
    return this.#gossip
  }

  /** Reads what an earlier process kept. Before anything arrives. */
  load(): Promise<void> {
    return this.#keys.load()
  }

  /** Passes frames on from now on, and opens those that are for this node. */
  start(): void {
    this.#gossip.start()
  }

  /** A group has another record, or the node has started. Resolves when the keys that it takes are in the outbox; never rejects: without a key each member gets its own message. */
  async changed(change: GroupChange): Promise<void> {
    const { tracker, platform } = this.#options
    const work = this.#keys.changed(change)
    tracker.track('the key of a group', work)
    try {
      await work
    } catch (error) {
      if (isPassing(error) && this.#isNewest(change)) platform.timers.schedule(retryMs, () => void this.changed(change))
    }
  }

  async #learn({ source, envelope: { body, group } }: Parameters<ControlHandler>[0]): Promise<void> {
    checkSubject(group, decodeGroupKey(body).group)
    await this.#keys.learn({ source, body })
  }

  #isNewest({ group: { signed } }: GroupChange): boolean {
    return this.#options.directory.find(toHex(signed.record.id))?.signed === signed
  }

  async #tell(member: Uint8Array, { tag, group, epoch }: StoredGroupKey, body: Uint8Array): Promise<void> {
    const { delivery, platform, via } = this.#options
    const id = `gkey-${toHex(platform.sha256(concat(tag, member)).subarray(0, 16))}`
    await delivery.submit({
      ...{ id, via, priority, body },
      type: 'SwarmSync',
      destination: { kind: 'peer', key: member, label: '' },
      label: '',
      inReplyTo: undefined,
      expectsReply: false,
      ttlS: messageLimits.ttlS,
      contentType: groupContentTypes.key,
      group: { id: group, epoch, message: id }
    })
  }
}

/** The outbox or the disk is full for now. */
const isPassing = (error: unknown): boolean => isMeshError(error, 'QUOTA') || isMeshError(error, 'DISK_FULL')
