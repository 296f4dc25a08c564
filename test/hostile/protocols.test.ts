import assert from 'node:assert/strict'
import { test } from 'node:test'
import { protocolTable } from '../../src/mesh/protocol-table.ts'
import { hostileCases, type Target } from '../../src/testing/hostile/cases.ts'
import { HostileNode } from '../../src/testing/hostile/hostile-node.ts'
import { until } from '../net/support.ts'
import { patienceMs, startBattlefield } from './support.ts'

const names = [...Object.keys(protocolTable), 'message', 'pairing'] as readonly Target[]

test('every protocol id has hostile cases, and no case is for an id that does not exist', () => {
  assert.deepEqual(Object.keys(hostileCases).sort(), [...names].sort())
  for (const name of names) assert.ok(hostileCases[name].length >= 15, `${name} has ${hostileCases[name].length} cases`)
})

for (const target of names) {
  test(`${target}: each hostile case ends in a reset with its code, and an honest peer is served meanwhile`, { timeout: 180_000 }, async () => {
    // Links of circuits are taken by nodes that take part in them only.
    await using field = await startBattlefield({}, target === 'onion' ? { onionRouting: true } : {})
    for (const hostile of hostileCases[target]) {
      field.records.length = 0
      // A key of its own for each case: records of one peer and code are counted together for a while.
      await using attacker = await HostileNode.start('testnet')
      const connection = await attacker.connect(field.victim.addresses())
      const attacking = hostile.run({ node: attacker, connection, target, patienceMs })
      const honestMs = await field.serveHonest()
      const end = await attacking
      assert.ok(hostile.ends.includes(end), `${hostile.name}: the stream is ${end}`)
      assert.ok(honestMs < 10_000, `${hostile.name}: the honest peer waited ${honestMs} ms`)
      const recorded = (): boolean =>
        hostile.codes.length === 0 || field.records.some((record) => hostile.codes.some((code) => code === record.event))
      await until(
        recorded,
        `${hostile.name}: ${hostile.codes.join(' or ')} is recorded, not ${field.records.map((record) => record.event).join()}`,
        3_000
      )
      await connection.close()
    }
    await until(async () => (await field.victim.detailedStatus()).connections.length === 1, 'only the honest connection is left')
  })
}
