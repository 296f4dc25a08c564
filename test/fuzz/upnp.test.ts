import { MeshError } from '../../src/core/base/index.ts'
import { gatewayInRoutes } from '../../src/node/route-table.ts'
import { ssdpLocation, upnpAddressIn, upnpControl, upnpErrorIn } from '../../src/node/upnp-text.ts'
import { fuzzDecoder } from './fuzz.ts'

const latin1 = new TextDecoder('latin1')
const toBytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** What these readers do not take is undefined: for the fuzzer, a refusal. */
function found<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new MeshError('MESSAGE_MALFORMED', { what: 'text of a router', reason: 'nothing in it' })
  return value
}

/** Wherever noise leads, it leads to the device that sent it. */
function onDevice(text: string): string {
  const { protocol, hostname } = new URL(text)
  if (protocol !== 'http:' || hostname !== '192.168.1.1') throw new Error(`led to ${text}`)
  return text
}

fuzzDecoder({
  name: 'SSDP answer',
  decode: (input) => onDevice(found(ssdpLocation(latin1.decode(input), '192.168.1.1'))),
  valid: [
    toBytes('HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: upnp:rootdevice\r\nLOCATION: http://192.168.1.1:5000/rootDesc.xml\r\n\r\n'),
    toBytes('HTTP/1.0 200 OK\r\nlocation:http://192.168.1.1/\r\n')
  ]
})

const service = '<service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>/ctl/IPConn</controlURL></service>'
fuzzDecoder({
  name: 'description of a router',
  decode: (input) => onDevice(found(upnpControl(latin1.decode(input), 'http://192.168.1.1:5000/rootDesc.xml')).url),
  valid: [
    toBytes(`<?xml version="1.0"?><root><URLBase>http://192.168.1.1:5000/</URLBase><device><serviceList>${service}</serviceList></device></root>`),
    toBytes(service)
  ]
})

fuzzDecoder({
  name: 'answers of a router in XML',
  decode: (input) => {
    const text = latin1.decode(input)
    upnpErrorIn(text)
    gatewayInRoutes(text)
    return found(upnpAddressIn(text))
  },
  valid: [
    toBytes(
      '<u:GetExternalIPAddressResponse><NewExternalIPAddress>11.77.26.2</NewExternalIPAddress><errorCode>718</errorCode></u:GetExternalIPAddressResponse>'
    ),
    toBytes('Iface\tDestination\tGateway\tFlags\neth\t00000000\t0101A8C0\t0003\t0\t0\t0\n<NewExternalIPAddress>11.77.26.2</NewExternalIPAddress>')
  ]
})
