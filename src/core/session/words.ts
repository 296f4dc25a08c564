import { MeshError, concat, equalBytes } from '../base/index.ts'
import type { SessionRole } from './handshake.ts'
import { type KdfTools, expand, exportSecret } from './key-schedule.ts'
import { type RecordType, recordTypes } from './records.ts'
import { wordList } from './word-list.ts'

const nonceBytes = 32
const exporterBytes = 32
const wordBits = 11
const wordCount = 3

/** A record to send. */
export interface WordsRecord {
  readonly type: RecordType
  readonly plaintext: Uint8Array
}

/** What a step of the exchange leads to. */
export interface WordsStep {
  readonly send: WordsRecord | undefined
  /** Three words, when they are known. */
  readonly words: readonly string[] | undefined
}

/**
 * The words that two people compare by voice (rule P1). The initiator commits to its nonce, the responder gives its own, the initiator opens:
 * whoever stands between gets one try for each handshake, at 1 in 2^33, and can search for nothing beforehand.
 */
export class WordsExchange {
  readonly #tools: KdfTools
  readonly #role: SessionRole
  readonly #own: Uint8Array
  #commitment: Uint8Array | undefined
  #finished = false

  constructor(tools: KdfTools, role: SessionRole) {
    this.#tools = tools
    this.#role = role
    this.#own = tools.crypto.randomBytes(nonceBytes)
  }

  /** The initiator's first record. */
  commit(): WordsRecord {
    return { type: recordTypes.wordsCommit, plaintext: this.#tools.crypto.hash('sha256', this.#own) }
  }

  /** Takes a record of the exchange. @throws {MeshError} MESSAGE_MALFORMED for one out of turn, or a nonce that is not the committed one */
  step({ type, plaintext }: WordsRecord, exporter: Uint8Array): WordsStep {
    if (plaintext.length !== nonceBytes || this.#finished) throw malformed('out of turn')
    if (type === recordTypes.wordsCommit && this.#role === 'responder' && this.#commitment === undefined) {
      this.#commitment = new Uint8Array(plaintext)
      return { send: { type: recordTypes.wordsNonce, plaintext: this.#own }, words: undefined }
    }
    if (type === recordTypes.wordsNonce && this.#role === 'initiator') {
      return { send: { type: recordTypes.wordsReveal, plaintext: this.#own }, words: this.#words(exporter, this.#own, plaintext) }
    }
    if (type === recordTypes.wordsReveal && this.#commitment !== undefined) return this.#reveal(exporter, plaintext, this.#commitment)
    throw malformed('out of turn')
  }

  #reveal(exporter: Uint8Array, nonce: Uint8Array, commitment: Uint8Array): WordsStep {
    if (!equalBytes(this.#tools.crypto.hash('sha256', nonce), commitment)) throw malformed('the nonce is not the one that was committed to')
    return { send: undefined, words: this.#words(exporter, nonce, this.#own) }
  }

  // HKDF-Expand(exporter("words"), nI ‖ nR): 33 bits, 11 for each word.
  #words(exporter: Uint8Array, initiatorNonce: Uint8Array, responderNonce: Uint8Array): readonly string[] {
    this.#finished = true
    const secret = exportSecret(this.#tools, exporter, { purpose: 'words', context: new Uint8Array(0), length: exporterBytes })
    const bits = expand(this.#tools, secret, { info: concat(initiatorNonce, responderNonce), length: 5 })
    secret.fill(0)
    const number = bits.reduce((sum, byte) => sum * 256 + byte, 0)
    return Array.from({ length: wordCount }, (_, index) => wordOf(number, index))
  }
}

/** The word at `index`, from the highest bits of 40. */
function wordOf(number: number, index: number): string {
  const shifted = Math.floor(number / 2 ** (40 - wordBits * (index + 1)))
  return wordList[shifted % 2 ** wordBits] ?? ''
}

const malformed = (reason: string): MeshError => new MeshError('MESSAGE_MALFORMED', { what: 'comparison words', reason })
