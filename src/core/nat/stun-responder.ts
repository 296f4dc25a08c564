import { type Bytes, isMeshError } from '../base/index.ts'
import type { Endpoint } from './ip-address.ts'
import { type StunAttribute, isNotUnderstood } from './stun-attributes.ts'
import { attributeOf, bindingMethod, decodeStun, encodeStun, type StunMessage } from './stun-message.ts'

/** Where a datagram came from and where it came in. */
export interface StunArrival {
  readonly source: Endpoint
  /** The address of ours at which it came in; undefined while it is not known, as on a socket of all addresses. */
  readonly local: Endpoint | undefined
  /** The address that differs from `local` in host and port (RFC 5780 section 6); undefined while there is only one. */
  readonly other: Endpoint | undefined
}

/** An answer, and whether it leaves from the other host, the other port, or both. */
export interface StunAnswer {
  readonly bytes: Bytes
  readonly changeAddress: boolean
  readonly changePort: boolean
}

/** An answer never has more bytes than this many times the request: a forged source gains nothing that would be worth its while. */
export const maxAmplification = 4

/**
 * The answer to a Binding request (RFC 8489 section 6.3, RFC 5780 section 6.1); undefined for everything else: other methods, responses, indications
 * and noise are never answered, so two servers cannot be made to talk to each other. No credentials are asked for, and no state is kept.
 */
export function answerStun(datagram: Uint8Array, arrival: StunArrival): StunAnswer | undefined {
  const request = decodeRequest(datagram)
  if (request === undefined || arrival.source.port === 0) return undefined
  const change = attributeOf(request, 'change-request')
  const isChange = change !== undefined && (change.address || change.port)
  const unknown = request.attributes.filter(isNotUnderstood).map(({ code }) => code)
  // RFC 5780 section 6.1: a server with one address does not know CHANGE-REQUEST.
  if (isChange && arrival.other === undefined) unknown.push(0x0003)
  const attributes = unknown.length > 0 ? refusal(unknown) : success(arrival, change)
  const maxBytes = maxAmplification * datagram.length
  const bytes = fitted(request, unknown.length > 0 ? 'error' : 'success', { attributes, maxBytes })
  const isMoved = isChange && unknown.length === 0
  return { bytes, changeAddress: isMoved && change.address, changePort: isMoved && change.port }
}

function decodeRequest(datagram: Uint8Array): StunMessage | undefined {
  try {
    const message = decodeStun(datagram)
    return message.class === 'request' && message.method === bindingMethod ? message : undefined
  } catch (error) {
    if (isMeshError(error, 'MESSAGE_MALFORMED')) return undefined
    throw error
  }
}

const refusal = (codes: readonly number[]): readonly StunAttribute[] => [
  { type: 'error-code', code: 420, reason: 'Unknown Attribute' },
  { type: 'unknown-attributes', codes }
]

/** In the order of their worth: what does not fit into the permitted size is left out from the end. */
function success(
  { source, local, other }: StunArrival,
  change: { readonly address: boolean; readonly port: boolean } | undefined
): readonly StunAttribute[] {
  const attributes: StunAttribute[] = [{ type: 'xor-mapped-address', endpoint: source }]
  if (other !== undefined) attributes.push({ type: 'other-address', endpoint: other })
  if (local !== undefined) {
    const address = change?.address && other !== undefined ? other.address : local.address
    const port = change?.port && other !== undefined ? other.port : local.port
    attributes.push({ type: 'response-origin', endpoint: { address, port } })
  }
  return [...attributes, { type: 'mapped-address', endpoint: source }]
}

/** The response, with as many of the attributes as `maxAmplification` permits: the first always fits. */
function fitted(
  request: StunMessage,
  kind: 'success' | 'error',
  content: { readonly attributes: readonly StunAttribute[]; readonly maxBytes: number }
): Bytes {
  const { transactionId, hasFingerprint } = request
  let { attributes } = content
  for (;;) {
    const bytes = encodeStun({ class: kind, method: bindingMethod, transactionId, attributes, hasFingerprint })
    if (bytes.length <= content.maxBytes || attributes.length === 1) return bytes
    attributes = attributes.slice(0, -1)
  }
}
