import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import type { Connection } from '@libp2p/interface'
import { decodeNatFrame, type DialOutcome, encodeNatFrame, type NatFrame } from '../../src/core/nat/nat-frames.ts'
import { dialLimits } from '../../src/mesh/dial-helper.ts'
import { protocolTable } from '../../src/mesh/protocol-table.ts'
import { frame, HostileNode, push } from '../../src/testing/hostile/hostile-node.ts'
import { startBattlefield } from './support.ts'

interface ThirdParty {
  readonly address: string
  calls: number
  open: number
  mostOpen: number
}

/** Somebody who has nothing to do with it: takes calls and says nothing. */
async function startThirdParty(t: TestContext, host: string): Promise<ThirdParty> {
  const sockets = new Set<Socket>()
  const party = { address: '', calls: 0, open: 0, mostOpen: 0 }
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    party.calls += 1
    party.open += 1
    party.mostOpen = Math.max(party.mostOpen, party.open)
    socket.on('error', () => undefined)
    socket.on('close', () => (party.open -= 1))
  }).listen(0, host)
  await once(server, 'listening')
  const place = server.address()
  party.address = `/ip4/${host}/tcp/${typeof place === 'object' && place !== null ? place.port : 0}`
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return party
}

/** Sends one question on a stream of its own; undefined when the stream is reset. */
async function ask(node: HostileNode, connection: Connection, question: NatFrame): Promise<DialOutcome | undefined> {
  const stream = await node.open(connection, protocolTable.nat.id)
  push(stream, frame(encodeNatFrame(question)))
  const parts: Uint8Array[] = []
  try {
    for await (const chunk of stream) {
      parts.push(chunk.subarray())
      const bytes = Buffer.concat(parts)
      if (bytes.length < 4 || bytes.length < 4 + bytes.readUInt32BE(0)) continue
      const answer = decodeNatFrame(new Uint8Array(bytes.subarray(4)))
      return answer.kind === 'dialled' ? answer.outcome : undefined
    }
  } catch {
    return undefined
  } finally {
    stream.abort(new Error('asked'))
  }
  return undefined
}

test('a stranger cannot have third parties called, however it asks', { timeout: 60_000 }, async (t) => {
  await using field = await startBattlefield()
  await using attacker = await HostileNode.start('testnet')
  const connection = await attacker.connect(field.victim.addresses())
  // The attacker calls from 127.0.0.1; everything else is somebody else's.
  const party = await startThirdParty(t, '127.0.0.3')
  const questions: readonly NatFrame[] = [
    { kind: 'dial-back', address: party.address },
    { kind: 'reversal', addresses: [party.address] },
    { kind: 'dial-back', address: party.address.replace('/ip4/127.0.0.3', '/ip6/::ffff:127.0.0.3') },
    { kind: 'dial-back', address: '/ip4/169.254.169.254/tcp/80' },
    { kind: 'dial-back', address: '/ip4/10.0.0.1/tcp/9000' }
  ]
  // Who is connected directly is not dialled at all.
  for (const question of questions)
    assert.equal(await ask(attacker, connection, question), question.kind === 'reversal' ? 'connected' : 'not-allowed', JSON.stringify(question))
  assert.equal(party.calls, 0)
  await field.serveHonest()
})

test('strangers cannot have one host flooded: neither by one that asks often, nor by many', { timeout: 120_000 }, async (t) => {
  await using field = await startBattlefield()
  const attackers = await Promise.all(Array.from({ length: 6 }, () => HostileNode.start('testnet')))
  t.after(() => Promise.all(attackers.map((attacker) => attacker[Symbol.asyncDispose]())))
  // Where they call from themselves, so that nothing but the rates stands before it.
  const party = await startThirdParty(t, '127.0.0.1')
  const outcomes: (DialOutcome | undefined)[] = []
  const flood = async (attacker: HostileNode): Promise<void> => {
    const connection = await attacker.connect(field.victim.addresses())
    for (let count = 0; count < 10; count++) {
      const question: NatFrame = { kind: 'dial-back', address: party.address }
      outcomes.push(...(await Promise.all([ask(attacker, connection, question), ask(attacker, connection, question)])))
    }
  }
  const started = performance.now()
  const flooding = Promise.all(attackers.map(flood))
  await field.serveHonest()
  await flooding
  const most = dialLimits.burst + Math.ceil((performance.now() - started) / 1_000) * dialLimits.perSecond
  assert.ok(party.calls <= most, `${party.calls} calls, at most ${most}`)
  assert.ok(party.mostOpen <= dialLimits.atOnce)
  assert.ok(!outcomes.includes('connected') && outcomes.includes('busy'))
  await field.serveHonest()
})
