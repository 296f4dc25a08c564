import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { test, type TestContext } from 'node:test'
import { natPmpPort } from '../../src/core/nat/nat-pmp.ts'
import { RouterPorts } from '../../src/node/port-mapping.ts'
import { gatewayInRoutes } from '../../src/node/route-table.ts'
import { SsdpAnswers, ssdpLocation, upnpAddressIn, upnpControl, upnpErrorIn } from '../../src/node/upnp-text.ts'

const service = 'urn:schemas-upnp-org:service:WANIPConnection:1'
const internal = { address: '127.0.0.1', port: 9_000 } as const
const limit = (): AbortSignal => AbortSignal.timeout(8_000)

interface Router {
  readonly ports: RouterPorts
  /** Each order, as `action port lifetime`. */
  readonly orders: string[]
}

/** A router that answers to UPnP as `refuse` says: an error code for an order, or 0. */
async function startRouter(t: TestContext, refuse: (order: string) => number): Promise<Router> {
  const orders: string[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      const value = (name: string): string => new RegExp(`<${name}>([^<]*)<`).exec(body)?.[1] ?? ''
      const action = /#(\w+)"$/.exec(String(request.headers['soapaction']))?.[1] ?? ''
      const order = [action, value('NewExternalPort'), value('NewLeaseDuration')].join(' ').trim()
      orders.push(order)
      const code = refuse(order)
      response.statusCode = code === 0 ? 200 : 500
      response.end(code === 0 ? '<NewExternalIPAddress>11.77.26.2</NewExternalIPAddress>' : `<UPnPError><errorCode>${code}</errorCode></UPnPError>`)
    })
  }).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const place = server.address()
  const url = `http://127.0.0.1:${typeof place === 'object' && place !== null ? place.port : 0}/control`
  return { orders, ports: new RouterPorts({ gateway: () => undefined, findRouter: () => Promise.resolve({ url, service }) }) }
}

test('a port is opened for an hour, renewed, and closed again', async (t) => {
  const { ports, orders } = await startRouter(t, () => 0)
  const mapped = { externalAddress: '11.77.26.2', externalPort: 9_000, protocol: 'upnp', leaseMs: 3_600_000 }
  assert.deepEqual(await ports.map(internal, limit()), mapped)
  assert.deepEqual(await ports.map(internal, limit()), mapped)
  await ports.unmapAll()
  await ports.unmapAll()
  const opened = ['GetExternalIPAddress', 'AddPortMapping 9000 3600']
  assert.deepEqual(orders, [...opened, ...opened, 'DeletePortMapping 9000'])
})

test('where the port is somebody else’s another one is opened, and that one is closed', async (t) => {
  const { ports, orders } = await startRouter(t, (order) => (order.startsWith('AddPortMapping 9000') ? 718 : 0))
  const mapped = await ports.map(internal, limit())
  assert.ok('externalPort' in mapped && mapped.externalPort >= 20_000)
  await ports.unmapAll()
  assert.deepEqual(
    orders.filter((order) => order.startsWith('Delete')),
    [`DeletePortMapping ${mapped.externalPort}`]
  )
})

test('a renewal keeps the port that it has', async (t) => {
  const { ports, orders } = await startRouter(t, (order) => (order.startsWith('AddPortMapping 9000') ? 718 : 0))
  const first = await ports.map(internal, limit())
  assert.deepEqual(await ports.map(internal, limit()), first)
  await ports.unmapAll()
  assert.equal(orders.filter((order) => order.startsWith('Delete')).length, 1)
})

test('a router that opens ports for ever only is asked for that, and a refusal is a reason', async (t) => {
  const permanent = await startRouter(t, (order) => (order.endsWith(' 3600') ? 725 : 0))
  assert.ok('externalPort' in (await permanent.ports.map(internal, limit())))
  assert.deepEqual(permanent.orders.slice(1), ['AddPortMapping 9000 3600', 'AddPortMapping 9000 0'])
  const strict = await startRouter(t, (order) => (order.startsWith('Add') ? 606 : 0))
  assert.deepEqual(await strict.ports.map(internal, limit()), { reason: 'the router (UPnP) refuses: error 606' })
  await strict.ports.unmapAll()
  assert.ok(!strict.orders.some((order) => order.startsWith('Delete')), 'what was refused is not ours to close')
})

test('a mapping whose answer nobody waited for is closed all the same', async (t) => {
  const asked = Promise.withResolvers<void>()
  const stop = new AbortController()
  const { ports, orders } = await startRouter(t, (order) => {
    if (order.startsWith('Add')) {
      asked.resolve()
      stop.abort()
    }
    return 0
  })
  const mapping = ports.map(internal, stop.signal)
  await asked.promise
  assert.ok('reason' in (await mapping))
  await ports.unmapAll()
  assert.equal(orders.at(-1), 'DeletePortMapping 9000')
})

/** A router that speaks NAT-PMP; what it was asked, in hexadecimal. */
async function startPmp(t: TestContext, host: string, lost = 0): Promise<string[]> {
  const asked: string[] = []
  const socket = createSocket('udp4')
  socket.bind(natPmpPort, host)
  await once(socket, 'listening')
  t.after(() => socket.close())
  socket.on('message', (bytes, { port, address }) => {
    asked.push(bytes.toString('hex'))
    if (asked.length <= lost) return
    const isMap = bytes[1] === 2
    const lifetime = bytes.subarray(8, 12).toString('hex')
    const answer = isMap ? `0082000000000009${bytes.subarray(4, 6).toString('hex')}9c40${lifetime}` : '00800000000000090b4d1a02'
    // Noise, and an answer to another question, come first.
    for (const hex of ['00', '0083000000000009', answer]) socket.send(Buffer.from(hex, 'hex'), port, address)
  })
  return asked
}

const withoutUpnp = (gateway: string): RouterPorts => new RouterPorts({ gateway: () => gateway, findRouter: () => Promise.resolve(undefined) })

test('NAT-PMP: the router’s port is taken, questions that are lost are repeated, and the mapping is taken back', async (t) => {
  const asked = await startPmp(t, '127.0.0.78', 1)
  const ports = withoutUpnp('127.0.0.78')
  assert.deepEqual(await ports.map(internal, limit()), {
    externalAddress: '11.77.26.2',
    externalPort: 40_000,
    protocol: 'nat-pmp',
    leaseMs: 3_600_000
  })
  await ports.map(internal, limit())
  await ports.unmapAll()
  assert.deepEqual(asked, ['0000', '0000', '000200002328232800000e10', '0000', '0002000023289c4000000e10', '000200002328000000000000'])
})

test('the address in the network of the gateway is the one to map', () => {
  assert.equal(withoutUpnp('127.0.0.79').nearRouter(['10.99.99.99', '127.0.0.1']), '127.0.0.1')
  assert.equal(withoutUpnp('198.51.100.1').nearRouter(['127.0.0.1']), undefined)
})

test('no router: the reasons, within two seconds', async () => {
  const started = performance.now()
  const reason = 'no router answers to UPnP; no router answers to NAT-PMP'
  assert.deepEqual(await withoutUpnp('127.0.0.79').map(internal, limit()), { reason })
  assert.ok(performance.now() - started < 2_500)
})

const xml = (
  url: string,
  type = service
): string => `<root><URLBase></URLBase><device><serviceList><service><serviceType>urn:schemas-upnp-org:service:Layer3Forwarding:1</serviceType><controlURL>/l3</controlURL></service>
<service><serviceType>${type}</serviceType><controlURL> ${url} </controlURL></service></serviceList></device></root>`

test('only a device that describes itself where it answered is believed', () => {
  const answer = (location: string): string => `HTTP/1.1 200 OK\r\nST: x\r\nLocation:  ${location}\r\n\r\n`
  assert.equal(ssdpLocation(answer('http://192.168.1.1:5000/root.xml'), '192.168.1.1'), 'http://192.168.1.1:5000/root.xml')
  for (const location of [
    'http://192.168.1.9/',
    'https://192.168.1.1/',
    'http://192.168.1.1@10.0.0.1/',
    'http://u:p@192.168.1.1/',
    'file:///etc/passwd',
    'http://router.example/'
  ])
    assert.equal(ssdpLocation(answer(location), '192.168.1.1'), undefined, location)
  assert.equal(ssdpLocation('NOTIFY * HTTP/1.1\r\nLocation: http://192.168.1.1/\r\n', '192.168.1.1'), undefined)
})

test('orders go to the device itself, by the first service that opens ports', () => {
  const at = 'http://192.168.1.1:5000/root.xml'
  assert.deepEqual(upnpControl(xml('/ctl/IPConn'), at), { url: 'http://192.168.1.1:5000/ctl/IPConn', service })
  assert.equal(upnpControl(xml('http://192.168.1.1:81/x', 'urn:schemas-upnp-org:service:WANPPPConnection:1'), at)?.url, 'http://192.168.1.1:81/x')
  assert.equal(upnpControl(xml('http://10.0.0.1/x'), at), undefined)
  assert.equal(upnpControl(xml('//10.0.0.1/x'), at), undefined)
  assert.equal(upnpControl(xml('/x', 'urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1'), at), undefined)
  assert.equal(upnpControl('<service><serviceType>', at), undefined)
})

test('answers in XML are read as far as they are ours to read', () => {
  assert.equal(upnpAddressIn('<a><NewExternalIPAddress> 11.77.26.2\n</NewExternalIPAddress></a>'), '11.77.26.2')
  for (const text of [
    '<NewExternalIPAddress></NewExternalIPAddress>',
    '<NewExternalIPAddress>&x;</NewExternalIPAddress>',
    '<NewExternalIPAddressX>1.2.3.4</NewExternalIPAddressX>',
    ''
  ])
    assert.equal(upnpAddressIn(text), undefined, text)
  assert.equal(upnpErrorIn('<errorCode>718</errorCode>'), 718)
  assert.equal(upnpErrorIn('<errorCode>many</errorCode>'), 0)
})

test('the default gateway is the one of the least metric', () => {
  const head = 'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n'
  const route = (destination: string, gateway: string, metric: number): string =>
    `eth\t${destination}\t${gateway}\t${gateway === '00000000' ? '0001' : '0003'}\t0\t0\t${metric}\t00000000\t0\t0\t0\n`
  assert.equal(gatewayInRoutes(`${head}${route('00000000', '011AA8C0', 100)}${route('00000000', '0101A8C0', 20)}`), '192.168.1.1')
  assert.equal(gatewayInRoutes(`${head}${route('001AA8C0', '00000000', 0)}`), undefined)
  assert.equal(gatewayInRoutes(''), undefined)
})

test('a neighbour that answers all the time does not crowd out the router', () => {
  const answer = (location: string): string => `HTTP/1.1 200 OK\r\nLOCATION: ${location}\r\n\r\n`
  for (const gateway of ['192.168.1.1', undefined]) {
    const answers = new SsdpAnswers(gateway)
    for (let path = 0; path < 100; path++) assert.equal(answers.take(answer(`http://192.168.1.66/${path}`), '192.168.1.66'), false)
    assert.equal(answers.take(answer('http://192.168.1.1:5000/root.xml'), '192.168.1.1'), gateway !== undefined)
    assert.equal(answers.locations.length, 3)
    assert.equal(answers.locations.indexOf('http://192.168.1.1:5000/root.xml'), gateway === undefined ? 2 : 0)
  }
  const crowd = new SsdpAnswers('192.168.1.1')
  for (let host = 2; host < 200; host++) crowd.take(answer(`http://192.168.1.${host}/`), `192.168.1.${host}`)
  assert.equal(crowd.locations.length, 8)
  assert.equal(crowd.take(answer('http://10.0.0.1/'), '192.168.1.1'), false, 'on another host')
  assert.equal(crowd.take(answer('http://192.168.1.1/'), '192.168.1.1'), true)
  assert.equal(crowd.locations[0], 'http://192.168.1.1/')
})
