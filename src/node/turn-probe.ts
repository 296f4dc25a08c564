import { createHash, createHmac, randomBytes } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { ByteWriter, concat, utf8 } from '../core/base/index.ts'
import { attributeOf, decodeStun, encodeStun, type StunAttribute, type StunMessage } from '../core/nat/index.ts'
import type { TurnServer, TurnVerdict } from '../mesh/ice/ice-port.ts'

const methods = { allocate: 3, refresh: 4 } as const
const codes = { username: 0x0006, messageIntegrity: 0x0008, lifetime: 0x000d, realm: 0x0014, nonce: 0x0015, requestedTransport: 0x0019 } as const
/** UDP, as IANA numbers protocols (RFC 8656 section 18.7). */
const udp = 17
const probeMs = 2_000
/** A datagram may be lost. */
const retryMs = 500

/**
 * Asks a TURN server for an address, and gives it back (RFC 8656). The first answer names realm and nonce (401), the second one says whether
 * the credentials are right: so one learns what ICE does not tell.
 */
export async function probeTurn(server: TurnServer, signal: AbortSignal): Promise<TurnVerdict> {
  const found = await lookup(server.host).catch(() => undefined)
  if (found === undefined) return { result: 'unresolved', reason: `${server.host} has no address` }
  const socket = createSocket(found.family === 6 ? 'udp6' : 'udp4')
  try {
    return await new Probe(socket, { ...server, host: found.address }, AbortSignal.any([signal, AbortSignal.timeout(probeMs)])).run()
  } catch {
    return { result: 'silent', reason: 'it does not answer: UDP to it is blocked, or it is down' }
  } finally {
    socket.close()
  }
}

class Probe {
  readonly #socket: Socket
  readonly #server: TurnServer
  readonly #signal: AbortSignal

  constructor(socket: Socket, server: TurnServer, signal: AbortSignal) {
    this.#socket = socket
    this.#server = server
    this.#signal = signal
  }

  async run(): Promise<TurnVerdict> {
    const transport: StunAttribute = { type: 'other', code: codes.requestedTransport, value: Uint8Array.of(udp, 0, 0, 0) }
    const first = await this.#ask(methods.allocate, [transport])
    if (first.class === 'success') return { result: 'allocated', reason: 'it asks nobody for credentials' }
    const challenge = challengeOf(first)
    if (challenge === undefined) return refusal(first)
    const second = await this.#ask(methods.allocate, [transport], challenge)
    if (second.class !== 'success') return refusal(second)
    const none: StunAttribute = { type: 'other', code: codes.lifetime, value: new Uint8Array(4) }
    await this.#ask(methods.refresh, [none], challenge).catch(() => undefined)
    return { result: 'allocated', reason: 'it gave an address' }
  }

  async #ask(method: number, attributes: readonly StunAttribute[], challenge?: Challenge): Promise<StunMessage> {
    const transactionId = new Uint8Array(randomBytes(12))
    const request: StunMessage = { class: 'request', method, transactionId, attributes, hasFingerprint: false }
    const bytes = challenge === undefined ? encodeStun(request) : this.#signed(request, challenge)
    const answer = Promise.withResolvers<StunMessage>()
    const onMessage = (datagram: Uint8Array): void => {
      const message = decoded(datagram)
      if (message !== undefined && message.class !== 'request' && Buffer.compare(message.transactionId, transactionId) === 0) answer.resolve(message)
    }
    const onAbort = (): void => answer.reject(this.#signal.reason)
    this.#socket.on('message', onMessage).on('error', answer.reject)
    this.#signal.addEventListener('abort', onAbort, { once: true })
    const send = (): void => this.#socket.send(bytes, this.#server.port, this.#server.host, () => undefined)
    const repeat = setInterval(send, retryMs)
    try {
      this.#signal.throwIfAborted()
      send()
      return await answer.promise
    } finally {
      clearInterval(repeat)
      this.#socket.off('message', onMessage).off('error', answer.reject)
      this.#signal.removeEventListener('abort', onAbort)
    }
  }

  /** With the long-term credentials of RFC 8489 section 9.2; the length that is hashed counts MESSAGE-INTEGRITY (section 14.5). */
  #signed(request: StunMessage, { realm, nonce }: Challenge): Uint8Array {
    const { username, password } = this.#server
    const credentials: readonly StunAttribute[] = [
      { type: 'other', code: codes.username, value: utf8(username) },
      { type: 'other', code: codes.realm, value: realm },
      { type: 'other', code: codes.nonce, value: nonce }
    ]
    const bytes = encodeStun({ ...request, attributes: [...request.attributes, ...credentials] })
    new DataView(bytes.buffer, bytes.byteOffset).setUint16(2, bytes.length - 20 + 24)
    const key = createHash('md5')
      .update(concat(utf8(`${username}:`), realm, utf8(`:${password}`)))
      .digest()
    const integrity = createHmac('sha1', key).update(bytes).digest()
    return concat(bytes, new ByteWriter(24).u16(codes.messageIntegrity).prefixed16(integrity).finish())
  }
}

interface Challenge {
  readonly realm: Uint8Array
  readonly nonce: Uint8Array
}

function challengeOf(message: StunMessage): Challenge | undefined {
  const [realm, nonce] = [valueOf(message, codes.realm), valueOf(message, codes.nonce)]
  return attributeOf(message, 'error-code')?.code === 401 && realm !== undefined && nonce !== undefined ? { realm, nonce } : undefined
}

function valueOf({ attributes }: StunMessage, code: number): Uint8Array | undefined {
  const found = attributes.find((attribute) => attribute.type === 'other' && attribute.code === code)
  return found?.type === 'other' ? found.value : undefined
}

function refusal(message: StunMessage): TurnVerdict {
  const code = attributeOf(message, 'error-code')?.code
  // RFC 8489 section 9.2.4: what a second 401 means, and RFC 8656 section 7.2.
  const meanings: Readonly<Record<number, string>> = {
    401: 'the credentials are wrong',
    403: 'it serves nobody like this node',
    441: 'the credentials are wrong',
    486: 'too many addresses are taken by this user',
    508: 'it has no address left'
  }
  return { result: 'refused', reason: `${meanings[code ?? 0] ?? 'it refused'} (${code ?? 'no code'})` }
}

function decoded(datagram: Uint8Array): StunMessage | undefined {
  try {
    return decodeStun(datagram)
  } catch {
    return undefined
  }
}
