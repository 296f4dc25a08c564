import { createSocket } from 'node:dgram'
import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { maxUpnpBytes, SsdpAnswers, ssdpGroup, ssdpSearch, type UpnpControl, upnpControl, type UpnpOrder, upnpTargets } from './upnp-text.ts'

/** Devices answer within the second that they are given; the question is repeated once, since it may be lost. */
const searchMs = 1_800
const searchAgainMs = 400
const httpMs = 3_000

export interface UpnpSearch {
  /** The interface to search on, by its IPv4 address. */
  readonly from: string
  /** The default gateway: its answer ends the search. */
  readonly gateway: string | undefined
  /** Whether an address may answer: those of the local network. */
  readonly isNear: (address: string) => boolean
  readonly signal: AbortSignal
}

/** Where the router of the local network takes orders; undefined when there is none that does. */
export async function findRouter(search: UpnpSearch): Promise<UpnpControl | undefined> {
  for (const location of await findLocations(search)) {
    const { status, text } = await exchange(location, undefined, search).catch(() => nothing)
    const control = status === 200 ? upnpControl(text, location) : undefined
    if (control !== undefined) return control
  }
  return undefined
}

/** Gives a router an order; its answer, with the HTTP status. @throws {Error} when it does not answer within 3 s */
export function order(
  control: UpnpControl,
  { action, body }: UpnpOrder,
  from: { readonly from: string; readonly signal: AbortSignal }
): Promise<HttpAnswer> {
  return exchange(control.url, { action: `"${control.service}#${action}"`, body }, from)
}

export interface HttpAnswer {
  readonly status: number
  readonly text: string
}

const nothing: HttpAnswer = { status: 0, text: '' }

/** Descriptions of devices, the gateway's first. */
async function findLocations({ from, gateway, isNear, signal }: UpnpSearch): Promise<readonly string[]> {
  const socket = createSocket('udp4')
  const answers = new SsdpAnswers(gateway)
  const ended = new AbortController()
  const stop = AbortSignal.any([signal, ended.signal])
  try {
    socket.on('message', (bytes, { address }) => {
      if (isNear(address) && answers.take(bytes.toString('latin1'), address)) ended.abort()
    })
    socket.on('error', () => ended.abort())
    await new Promise<void>((resolve) => {
      stop.addEventListener('abort', () => resolve(), { once: true })
      socket.bind({ address: from, port: 0 }, resolve)
    })
    if (!stop.aborted) socket.setMulticastInterface(from)
    for (const waitMs of [searchAgainMs, searchMs - searchAgainMs]) {
      if (stop.aborted) break
      for (const target of upnpTargets) socket.send(ssdpSearch(target), ssdpGroup.port, ssdpGroup.address, () => undefined)
      await sleep(waitMs, undefined, { signal: stop, ref: false }).catch(() => undefined)
    }
  } finally {
    socket.close()
  }
  return answers.locations
}

/** One HTTP request, without redirects, its answer bounded. */
function exchange(
  url: string,
  soap: { readonly action: string; readonly body: string } | undefined,
  { from, signal }: { readonly from: string; readonly signal: AbortSignal }
): Promise<HttpAnswer> {
  const headers = { connection: 'close', ...(soap === undefined ? {} : { 'content-type': 'text/xml; charset="utf-8"', soapaction: soap.action }) }
  return new Promise((resolve, reject) => {
    const options = { method: soap === undefined ? 'GET' : 'POST', headers, agent: false, localAddress: from }
    const call = request(url, { ...options, signal: AbortSignal.any([signal, AbortSignal.timeout(httpMs)]) }, (response) => {
      const chunks: Buffer[] = []
      let held = 0
      response.on('data', (chunk: Buffer) => {
        held += chunk.length
        if (held > maxUpnpBytes) call.destroy(new Error('the answer is too long'))
        else chunks.push(chunk)
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }))
      response.on('error', reject)
    })
    call.on('error', reject)
    call.end(soap?.body)
  })
}
