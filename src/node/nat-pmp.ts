import { createSocket } from 'node:dgram'
import { setTimeout as sleep } from 'node:timers/promises'
import { isMeshError } from '../core/base/index.ts'
import { decodeNatPmp, encodeNatPmp, natPmpPort, type NatPmpAnswer, type NatPmpRequest } from '../core/nat/nat-pmp.ts'

/** A question is repeated after 250 ms, then after double the time (RFC 6886 section 3.1); routers that speak NAT-PMP answer the first. */
const firstWaitMs = 250
const transmissions = 3

/**
 * Asks a router by NAT-PMP; undefined when it does not answer within 1.75 s, or answers in another language. Only what comes from the router itself is read.
 * @param gateway an IPv4 address
 */
export async function askNatPmp(gateway: string, request: NatPmpRequest, signal: AbortSignal): Promise<NatPmpAnswer | undefined> {
  const socket = createSocket('udp4')
  const ended = new AbortController()
  const stop = AbortSignal.any([signal, ended.signal])
  try {
    const answer = new Promise<NatPmpAnswer | undefined>((resolve) => {
      socket.on('message', (bytes) => {
        const read = readAnswer(new Uint8Array(bytes))
        if (read !== undefined && isAnswerTo(request, read)) resolve(read)
      })
      // No route, or nobody at that port.
      socket.on('error', () => resolve(undefined))
      stop.addEventListener('abort', () => resolve(undefined), { once: true })
      if (stop.aborted) resolve(undefined)
      // A connected socket takes nothing from anybody else.
      socket.connect(natPmpPort, gateway, () => void transmit())
      const transmit = async (): Promise<void> => {
        for (let count = 0; count < transmissions && !stop.aborted; count++) {
          socket.send(encodeNatPmp(request), () => undefined)
          await sleep(firstWaitMs * 2 ** count, undefined, { signal: stop, ref: false }).catch(() => undefined)
        }
        resolve(undefined)
      }
    })
    return await answer
  } finally {
    ended.abort()
    socket.close()
  }
}

function readAnswer(bytes: Uint8Array): NatPmpAnswer | undefined {
  try {
    return decodeNatPmp(bytes)
  } catch (error) {
    if (isMeshError(error)) return undefined
    throw error
  }
}

function isAnswerTo(request: NatPmpRequest, answer: NatPmpAnswer): boolean {
  if (answer.kind === 'refused') return answer.request === request.kind
  return answer.kind === request.kind && (answer.kind !== 'map' || request.kind !== 'map' || answer.internalPort === request.internalPort)
}
