import { ipScope } from '../core/base/ip-scope.ts'

/** What is looked for: gateways of both versions of the standard; the second kind answers to the first name as well, but not all do. */
export const upnpTargets = [
  'urn:schemas-upnp-org:device:InternetGatewayDevice:1',
  'urn:schemas-upnp-org:device:InternetGatewayDevice:2',
  'urn:schemas-upnp-org:service:WANIPConnection:1'
] as const

/** Where devices of the local network are asked (UPnP Device Architecture 1.1 section 1.3.2). */
export const ssdpGroup = { address: '239.255.255.250', port: 1_900 } as const

/** Longest description of a device that is read. */
export const maxUpnpBytes = 131_072

/** Where a router takes orders. */
export interface UpnpControl {
  readonly url: string
  readonly service: string
}

export interface UpnpMapping {
  readonly externalPort: number
  readonly internalPort: number
  readonly internalAddress: string
  readonly lifetimeS: number
}

const services = /^urn:schemas-upnp-org:service:WAN(?:IP|PPP)Connection:[12]$/
const description = 'synaptic-mesh'

/** The question for devices of a kind; answers come within a second. */
export const ssdpSearch = (target: string): string =>
  `M-SEARCH * HTTP/1.1\r\nHOST: ${ssdpGroup.address}:${ssdpGroup.port}\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: ${target}\r\n\r\n`

/**
 * Where the device that answered from `sender` describes itself; undefined when it is no such answer. Only on the device itself: whoever answers on the
 * local network may name any URL, and would have this node call there.
 */
export function ssdpLocation(answer: string, sender: string): string | undefined {
  if (!/^HTTP\/1\.[01] 200/.test(answer)) return undefined
  const location = /^location:[ \t]*(\S{1,512})[ \t]*$/im.exec(answer.slice(0, 4_096))?.[1]
  return location === undefined ? undefined : onHost(location, sender)
}

const maxLocations = 8
const maxOfOne = 2

/** Where devices that answered describe themselves: of each host few, so that one that answers all the time does not crowd out the router. */
export class SsdpAnswers {
  readonly #gateway: string | undefined
  readonly #senders = new Map<string, string>()

  /** @param gateway - the default gateway, if it is known: its answer always counts */
  constructor(gateway: string | undefined) {
    this.#gateway = gateway
  }

  /** Takes an answer; whether it is the one of the gateway. */
  take(answer: string, sender: string): boolean {
    const isGateway = sender === this.#gateway
    const ofSender = [...this.#senders.values()].filter((each) => each === sender).length
    if (!isGateway && (ofSender >= maxOfOne || this.#senders.size >= maxLocations)) return false
    const location = ssdpLocation(answer, sender)
    if (location !== undefined) this.#senders.set(location, sender)
    return isGateway && location !== undefined
  }

  /** The gateway's first. */
  get locations(): readonly string[] {
    const rank = (sender: string): number => Number(sender !== this.#gateway)
    return [...this.#senders].sort((a, b) => rank(a[1]) - rank(b[1])).map(([location]) => location)
  }
}

/** The first service that opens ports, of a device's description that was read from `location`; it, too, has to be on the same host. */
export function upnpControl(xml: string, location: string): UpnpControl | undefined {
  const host = urlOf(location)?.hostname ?? ''
  for (const part of xml.slice(0, maxUpnpBytes).split('<service>').slice(1)) {
    const service = valueOf(part, 'serviceType') ?? ''
    const path = valueOf(part, 'controlURL')
    if (!services.test(service) || path === undefined) continue
    const url = onHost(urlOf(path, valueOf(xml, 'URLBase') ?? location)?.href ?? '', host)
    if (url !== undefined) return { url, service }
  }
  return undefined
}

/** The body of a SOAP request (UPnP Device Architecture 1.1 section 3.1.1). */
function soap(service: string, action: string, values: Readonly<Record<string, string | number>>): string {
  const inner = Object.entries(values)
    .map(([name, value]) => `<${name}>${value}</${name}>`)
    .join('')
  return (
    '<?xml version="1.0"?>\r\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/">' +
    `<s:Body><u:${action} xmlns:u="${service}">${inner}</u:${action}></s:Body></s:Envelope>\r\n`
  )
}

/** An action of WANIPConnection (UPnP WANIPConnection:1 section 2.4) and its body. */
export interface UpnpOrder {
  readonly action: string
  readonly body: string
}

export const upnpAskAddress = (service: string): UpnpOrder => ({ action: 'GetExternalIPAddress', body: soap(service, 'GetExternalIPAddress', {}) })

export const upnpAdd = (service: string, { externalPort, internalPort, internalAddress, lifetimeS }: UpnpMapping): UpnpOrder => ({
  action: 'AddPortMapping',
  body: soap(service, 'AddPortMapping', {
    NewRemoteHost: '',
    NewExternalPort: externalPort,
    NewProtocol: 'TCP',
    NewInternalPort: internalPort,
    NewInternalClient: internalAddress,
    NewEnabled: 1,
    NewPortMappingDescription: description,
    NewLeaseDuration: lifetimeS
  })
})

export const upnpDelete = (service: string, externalPort: number): UpnpOrder => ({
  action: 'DeletePortMapping',
  body: soap(service, 'DeletePortMapping', { NewRemoteHost: '', NewExternalPort: externalPort, NewProtocol: 'TCP' })
})

/** The router's own address; undefined when the answer has none. */
export function upnpAddressIn(xml: string): string | undefined {
  const address = valueOf(xml, 'NewExternalIPAddress')
  return address !== undefined && ipScope(address) !== undefined ? address : undefined
}

/** Why an order was refused (section 2.4.16: 718 = the port is somebody else's, 725 = for ever only); 0 when it does not say. */
export function upnpErrorIn(xml: string): number {
  const code = valueOf(xml, 'errorCode')
  return code !== undefined && /^\d{1,4}$/.test(code) ? Number(code) : 0
}

/** The text in the first element of a name, whatever its prefix; elements within it make it none. */
function valueOf(xml: string, name: string): string | undefined {
  const open = xml.indexOf(`<${name}`)
  const begin = open === -1 ? -1 : xml.indexOf('>', open)
  const end = begin === -1 ? -1 : xml.indexOf('<', begin)
  if (end === -1 || !/^[\s>]/.test(xml.slice(open + name.length + 1, open + name.length + 2)) || !xml.startsWith(`</${name}`, end)) return undefined
  const text = xml.slice(begin + 1, end).trim()
  return text === '' || text.length > 512 ? undefined : text
}

/** The URL when it is plain HTTP on `host`, an IP address. */
function onHost(text: string, host: string): string | undefined {
  const url = urlOf(text)
  return url?.protocol === 'http:' && url.hostname === host && url.username === '' && url.password === '' ? url.href : undefined
}

function urlOf(text: string, base?: string): URL | undefined {
  return URL.parse(text, base) ?? undefined
}
