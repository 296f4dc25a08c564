import { ByteReader, ByteWriter, MeshError, type Signer, type Verifier } from '../base/index.ts'
import { type Channel, checkKey } from './batch.ts'
import { type CborValue, decodeCbor, encodeCbor, malformedCbor } from './cbor.ts'
import { isIntegerIn, isMessageId } from './field-rules.ts'
import { frameKinds } from './frames.ts'
import { messageLimits, type ReceiptState, receiptStates, type RefusalCode, refusalCodes } from './types.ts'

/** What a recipient says of one message. See docs/wire/receipt.md. */
export type Receipt = ReceiptSubject &
  ({ readonly state: Exclude<ReceiptState, 'refused'>; readonly code: undefined } | { readonly state: 'refused'; readonly code: RefusalCode })

/** The message that a receipt is about. */
export interface ReceiptSubject {
  readonly id: string
  /** SHA-256 of the envelope. */
  readonly digest: Uint8Array
  readonly epoch: Uint8Array
  readonly sequence: number
}

/** Receipts of one recipient for one sender. */
export interface Receipts {
  /** The key that signs. */
  readonly recipient: Uint8Array
  /** The key whose messages they are about. */
  readonly sender: Uint8Array
  /** 1–256. */
  readonly receipts: readonly Receipt[]
}

const what = 'receipts'
const receiptsVersion = 1
const signatureBytes = 64
const maxBodyBytes = 65_536
const bounds = { what, maxBytes: maxBodyBytes, maxItems: 5 + 7 * messageLimits.batchMessages, maxDepth: 3 } as const

/** The signed RECEIPTS frame of 1–256 receipts. */
export function sealReceipts(sender: Uint8Array, receipts: readonly Receipt[], signer: Signer): Uint8Array {
  const body = encodeCbor([receiptsVersion, signer.publicKey, sender, receipts.map(receiptValue)])
  return new ByteWriter(body.length + 5 + signatureBytes).u8(frameKinds.receipts).prefixed32(body).raw(signer.sign('receipt', body)).finish()
}

const receiptValue = (receipt: Receipt): CborValue => [
  receipt.id,
  receipt.digest,
  receipt.epoch,
  receipt.sequence,
  receiptStates.indexOf(receipt.state) + 1,
  receipt.code === undefined ? 0 : refusalCodes.indexOf(receipt.code) + 1
]

/** Takes a RECEIPTS frame apart; the signature is not verified. @throws {MeshError} MESSAGE_MALFORMED, UNSUPPORTED_VERSION */
export function decodeReceipts(frame: Uint8Array): Receipts & { readonly body: Uint8Array; readonly signature: Uint8Array } {
  const reader = new ByteReader(frame, what)
  if (reader.u8() !== frameKinds.receipts) throw reader.malformed('no receipts')
  const body = reader.prefixed32(maxBodyBytes)
  const signature = reader.raw(signatureBytes)
  reader.end()
  return { ...decodeBody(body), body, signature }
}

function decodeBody(body: Uint8Array): Receipts {
  const value = decodeCbor(body, bounds)
  if (!Array.isArray(value)) throw malformedCbor(what, 'not an array')
  const fields: readonly unknown[] = value
  if (isIntegerIn(fields[0], 0, 65_535) && fields[0] !== receiptsVersion)
    throw new MeshError('UNSUPPORTED_VERSION', { what: 'The receipt', version: fields[0] })
  const [version, recipient, sender, list] = fields
  if (fields.length !== 4 || version !== receiptsVersion || !isBytes(recipient, 32) || !isBytes(sender, 32))
    throw malformedCbor(what, 'not an array of 4')
  if (!Array.isArray(list) || list.length < 1 || list.length > messageLimits.batchMessages) throw malformedCbor(what, 'not 1 to 256 receipts')
  return { recipient, sender, receipts: list.map(toReceipt) }
}

const isBytes = (value: unknown, length: number): value is Uint8Array => value instanceof Uint8Array && value.length === length

function toReceipt(value: unknown): Receipt {
  if (!Array.isArray(value) || value.length !== 6) throw malformedCbor(what, 'a receipt is not an array of 6')
  const [id, digest, epoch, sequence, stateNumber, codeNumber]: readonly unknown[] = value
  if (typeof id !== 'string' || !isMessageId(id)) throw malformedCbor(what, 'an id is not valid')
  if (!isBytes(digest, 32) || !isBytes(epoch, 16)) throw malformedCbor(what, 'a digest or epoch has another length')
  if (!isIntegerIn(sequence, 0, Number.MAX_SAFE_INTEGER)) throw malformedCbor(what, 'a sequence is out of range')
  const subject = { id, digest, epoch, sequence }
  const state = isIntegerIn(stateNumber, 1, receiptStates.length) ? receiptStates[stateNumber - 1] : undefined
  const code = isIntegerIn(codeNumber, 1, refusalCodes.length) ? refusalCodes[codeNumber - 1] : undefined
  if (state === 'refused' && code !== undefined) return { ...subject, state, code }
  if (state === undefined || state === 'refused' || codeNumber !== 0) throw malformedCbor(what, 'a state or code is unknown')
  return { ...subject, state, code: undefined }
}

/**
 * Decodes and verifies a RECEIPTS frame that came over `channel`: it must come from the peer itself, and be about our messages.
 * @throws {MeshError} MESSAGE_MALFORMED, UNSUPPORTED_VERSION, IDENTITY_MISMATCH, SIGNATURE_INVALID
 */
export function openReceipts(frame: Uint8Array, channel: Channel, verifier: Verifier): Receipts {
  const opened = decodeReceipts(frame)
  checkKey('The signer of a receipt', opened.recipient, channel.peer)
  checkKey('The addressee of a receipt', opened.sender, channel.self)
  if (!verifier.verify('receipt', opened.recipient, opened.body, opened.signature)) throw new MeshError('SIGNATURE_INVALID', { what: 'a receipt' })
  return opened
}
