import { type Bytes, type DhKey, type KemKey, MeshError, type Pieces, concat } from '../base/index.ts'
import type { SessionRole } from './handshake.ts'
import { type EpochKeys, type KdfTools, nextKeys } from './key-schedule.ts'
import { RecordKey } from './record-key.ts'
import { type RecordType, headerOf, recordTypes, typeOf } from './records.ts'

const dhBytes = 32

/** A record that was opened. */
export interface Opened {
  readonly type: RecordType
  readonly plaintext: Uint8Array
}

/** How far a rekey is, as this side sees it. */
type Rekey =
  | { readonly state: 'none' }
  /** Our request is on its way. `crossed` when a request of the responder was dropped for it. */
  | { readonly state: 'asked'; readonly dh: DhKey; readonly kem: KemKey; readonly request: Bytes; readonly crossed: boolean }
  /** Our answer is on its way: we send under the new keys, and the peer may still send under the old ones. */
  | { readonly state: 'answered'; readonly receiving: RecordKey }

/** The keys of a session: both directions, their epochs, and the hybrid rekey from one to the next (docs/wire/session.md). */
export class Epochs {
  readonly #tools: KdfTools
  readonly #role: SessionRole
  #sendEpoch = 0
  #receiveEpoch = 0
  #sending: RecordKey
  #receiving: RecordKey
  #next: Uint8Array
  #rekey: Rekey = { state: 'none' }

  /** Takes the keys over: they are wiped here. */
  constructor(tools: KdfTools, role: SessionRole, keys: EpochKeys) {
    this.#tools = tools
    this.#role = role
    this.#sending = new RecordKey(tools, this.#sendingKey(keys))
    this.#receiving = new RecordKey(tools, this.#receivingKey(keys))
    this.#next = keys.next
  }

  /** The epoch that both sides are in; while one begins, the one before. */
  get epoch(): number {
    return this.#receiveEpoch
  }

  /** Whether a rekey can begin. */
  get settled(): boolean {
    return this.#rekey.state === 'none'
  }

  get sending(): { readonly records: number; readonly bytes: number } {
    return this.#sending
  }

  get receiving(): { readonly records: number; readonly bytes: number } {
    return this.#receiving
  }

  /** The next record, in pieces. */
  seal(type: RecordType, plaintext: Pieces): readonly Uint8Array[] {
    return this.#sending.seal(headerOf(type, this.#sendEpoch), plaintext)
  }

  /** Opens the next record of the peer. @throws {MeshError} SESSION_RECORD_INVALID */
  open(record: Uint8Array): Opened {
    const header = record[0] ?? 0
    const type = typeOf(header)
    if (type === undefined) throw new MeshError('SESSION_RECORD_INVALID', { reason: `type ${header >> 3}` })
    if (header === headerOf(type, this.#receiveEpoch)) return { type, plaintext: this.#receiving.open(record) }
    if (this.#rekey.state === 'answered' && header === headerOf(recordTypes.rekeyed, this.#receiveEpoch + 1)) return this.#begin(this.#rekey, record)
    throw new MeshError('SESSION_RECORD_INVALID', { reason: 'it is of another epoch' })
  }

  /** The request for new keys; send it as a record of type `rekey`. */
  ask(): Bytes {
    const { crypto, suite } = this.#tools
    const dh = crypto.generateDh()
    const kem = crypto.kem(suite.level).generate()
    const request = concat(dh.publicKey, kem.publicKey)
    this.#rekey = { state: 'asked', dh, kem, request, crossed: false }
    return request
  }

  /**
   * Takes a request of the peer; returns the sealed answer, undefined when our own goes first: of two that cross, the initiator's wins (rule Q2).
   * From here on we send under the new keys. @throws {MeshError} SESSION_RECORD_INVALID, and what a wrong key causes
   */
  answer(request: Uint8Array): readonly Uint8Array[] | undefined {
    if (this.#rekey.state === 'asked' && this.#role === 'initiator') return this.#keepOwn(this.#rekey)
    if (this.#rekey.state === 'answered') throw unexpected('a request while another one is open')
    const { crypto, suite } = this.#tools
    const kemPort = crypto.kem(suite.level)
    if (request.length !== dhBytes + kemPort.publicKeyBytes) throw unexpected(`a request of ${request.length} bytes`)
    const { ciphertext, sharedSecret } = kemPort.encapsulate(request.slice(dhBytes))
    const dh = crypto.generateDh()
    const answer = concat(dh.publicKey, ciphertext)
    const secrets = { kem: sharedSecret, dh: dh.agree(request.slice(0, dhBytes)), request, answer }
    const keys = nextKeys(this.#tools, this.#next, secrets)
    const sealed = this.seal(recordTypes.rekeyAnswer, answer)
    this.#rekey = { state: 'answered', receiving: new RecordKey(this.#tools, this.#receivingKey(keys)) }
    this.#next = keys.next
    this.#sendWith(keys)
    return sealed
  }

  /** Takes the answer to our request: both directions go on under the new keys. Returns the sealed first record. @throws {MeshError} SESSION_RECORD_INVALID */
  finish(answer: Uint8Array): readonly Uint8Array[] {
    if (this.#rekey.state !== 'asked') throw unexpected('an answer that nobody asked for')
    const { dh, kem, request } = this.#rekey
    const { ciphertextBytes } = this.#tools.crypto.kem(this.#tools.suite.level)
    if (answer.length !== dhBytes + ciphertextBytes) throw unexpected(`an answer of ${answer.length} bytes`)
    const secrets = { kem: kem.decapsulate(answer.slice(dhBytes)), dh: dh.agree(answer.slice(0, dhBytes)), request, answer }
    const keys = nextKeys(this.#tools, this.#next, secrets)
    this.#next = keys.next
    this.#receiveWith(new RecordKey(this.#tools, this.#receivingKey(keys)))
    this.#sendWith(keys)
    this.#rekey = { state: 'none' }
    return this.seal(recordTypes.rekeyed, new Uint8Array(0))
  }

  wipe(): void {
    this.#sending.wipe()
    this.#receiving.wipe()
    if (this.#rekey.state === 'answered') this.#rekey.receiving.wipe()
    this.#next.fill(0)
    this.#rekey = { state: 'none' }
  }

  // The first record under the new keys opens: the old ones are of no use any more.
  #begin({ receiving }: { readonly receiving: RecordKey }, record: Uint8Array): Opened {
    const plaintext = receiving.open(record)
    this.#receiveWith(receiving)
    this.#rekey = { state: 'none' }
    return { type: recordTypes.rekeyed, plaintext }
  }

  #keepOwn(asked: Rekey & { readonly state: 'asked' }): undefined {
    if (asked.crossed) throw unexpected('a second request while the first was dropped')
    this.#rekey = { ...asked, crossed: true }
    return undefined
  }

  #sendWith(keys: EpochKeys): void {
    this.#sending.wipe()
    this.#sending = new RecordKey(this.#tools, this.#sendingKey(keys))
    this.#sendEpoch += 1
  }

  #receiveWith(key: RecordKey): void {
    this.#receiving.wipe()
    this.#receiving = key
    this.#receiveEpoch += 1
  }

  #sendingKey(keys: EpochKeys): Uint8Array {
    return this.#role === 'initiator' ? keys.initiatorToResponder : keys.responderToInitiator
  }

  #receivingKey(keys: EpochKeys): Uint8Array {
    return this.#role === 'initiator' ? keys.responderToInitiator : keys.initiatorToResponder
  }
}

const unexpected = (reason: string): MeshError => new MeshError('SESSION_RECORD_INVALID', { reason })
