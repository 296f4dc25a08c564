import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import { z } from 'zod'
import { catalogue } from '../../src/api/index.ts'
import { StunServer } from '../../src/node/stun-server.ts'
import { bin, json, local } from './real-nodes.ts'
import { Home } from './support.ts'

test('p2p netcheck asks the STUN servers of the configuration, and says what to do', async (t) => {
  await using server = await StunServer.start({ hosts: ['127.0.0.1'], port: 0, other: { host: '127.0.0.2', port: 0 } })
  const silent = createSocket('udp4').bind(0, '127.0.0.1')
  t.after(() => silent.close())
  await once(silent, 'listening')
  const home = new Home(t, bin)
  await json(home, 'init', ...local, '--stun', `stun:127.0.0.1:${server.port},stun:127.0.0.1:${silent.address().port}`)
  const report = catalogue.netcheck.output(z).parse(await json(home, 'netcheck'))
  assert.deepEqual(report.nat, { class: 'open', mapping: 'none', filtering: 'endpoint-independent' })
  assert.deepEqual(
    report.stun.map(({ port, result }) => [port, result]),
    [
      [server.port, 'answered'],
      [silent.address().port, 'silent']
    ]
  )
  const { code, stdout } = await home.p2p('netcheck')
  assert.equal(code, 0)
  assert.match(stdout, /^you: no NAT · UDP open · .*\n {2}NAT {13}no NAT \(mapping none, filtering endpoint-independent\)\n {2}UDP {13}open\n/)
  assert.match(stdout, /no other machine can reach it \(LOOPBACK_ONLY\)\n {2}synaptic-mesh p2p config set listen_addrs/)
  assert.match(stdout, /does not answer \(STUN_SILENT\)/)
})

test('where UDP is blocked, p2p netcheck does not call punching possible, and names both ends', async (t) => {
  const silent = createSocket('udp4').bind(0, '127.0.0.1')
  t.after(() => silent.close())
  await once(silent, 'listening')
  const home = new Home(t, bin)
  await json(home, 'init', ...local, '--stun', `stun:127.0.0.1:${silent.address().port}`)
  const { code, stdout } = await home.p2p('netcheck')
  assert.equal(code, 0)
  assert.match(stdout, /\n {2}punching {8}not possible: UDP is blocked\n/)
  assert.match(stdout, /here or at the server \(UDP_BLOCKED\)\n {2}Allow UDP, outgoing here, and to the STUN port of the server/)
})
