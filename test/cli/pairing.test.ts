import assert from 'node:assert/strict'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { z } from 'zod'
import { catalogue } from '../../src/api/index.ts'
import { wordList } from '../../src/core/session/word-list.ts'
import { json, startNode } from './real-nodes.ts'
import type { Home, Result } from './support.ts'

const errorCode = ({ stderr }: Result): string => JSON.parse(stderr).error.code
const threeWords = /^ {2}words (\w+ \w+ \w+)$/m

/** `invite --wait` in a process of its own: its lines as they come, and how it ends. */
function inviteAndWait(home: Home, ...flags: readonly string[]) {
  const child = home.spawn(['p2p', 'invite', '--wait', ...flags])
  child.stdin.end()
  const talk: Buffer[] = []
  child.stderr.on('data', (bytes: Buffer) => void talk.push(bytes))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
  return {
    line: async (): Promise<string> => String((await lines.next()).value ?? ''),
    end: async () => ({ code: await ended, stderr: Buffer.concat(talk).toString() }),
    interrupt: () => child.kill('SIGINT')
  }
}

test('both people see the same three words: join prints them, invite --wait prints them, and peers shows them afterwards', async (t) => {
  const [alice, bob, carol] = await Promise.all(['alice', 'bob', 'carol'].map((name) => startNode(t, name)))
  assert.ok(alice && bob && carol)
  const waiting = inviteAndWait(alice.home)
  const text = await waiting.line()
  assert.match(text, /^smi1[\w-]{10,296}$/)
  const joined = await bob.home.run(['p2p', 'join', '-', '--as', 'boss'], { input: `${text}\n` })
  assert.equal(joined.code, 0, joined.stderr)
  assert.match(joined.stdout, /^✓ paired with boss /)
  const words = threeWords.exec(joined.stdout)?.[1] ?? ''
  assert.ok(words.split(' ').every((word) => wordList.includes(word)))
  const told = `${await waiting.line()}\n${await waiting.line()}`
  assert.match(told, new RegExp(`^✓ paired with bob   ${bob.peerId}$`, 'm'))
  assert.equal(threeWords.exec(told)?.[1], words)
  const { code, stderr } = await waiting.end()
  assert.equal(code, 0)
  assert.match(stderr, /for one peer, until/)
  assert.match((await alice.home.p2p('peers', 'bob')).stdout, new RegExp(`words of the pairing: ${words}`))
  assert.deepEqual(catalogue.peers.output(z).parse(await json(bob.home, 'peers', 'boss')).peers[0]?.words, words.split(' '))

  // The same as data: a line when the invite is there, another one when it was used.
  const data = inviteAndWait(alice.home, '--json', '--no-command')
  const first = catalogue.invite.output(z).parse(JSON.parse(await data.line()))
  assert.equal(first.paired, undefined)
  const other = catalogue.join.output(z).parse(await json(carol.home, 'join', first.invite))
  const second = catalogue.invite.output(z).parse(JSON.parse(await data.line()))
  assert.deepEqual([second.invite, second.paired?.peerId, second.paired?.words], [first.invite, carol.peerId, other.words])
  assert.equal((await data.end()).code, 0)
  assert.equal((await json<{ readonly peers: readonly { readonly commands: boolean }[] }>(alice.home, 'peers', 'carol')).peers[0]?.commands, false)
  const obeyed = await carol.home.p2p('message', 'alice', 'obey', '--msg-type', 'command', '--json')
  assert.deepEqual([obeyed.code, errorCode(obeyed)], [4, 'COMMAND_NOT_ALLOWED'])
})

test('an invite that was used, replayed, altered, cut, taken back or is of oneself is refused by name; list and revoke say what became of them', async (t) => {
  const [alice, bob, carol] = await Promise.all(['alice', 'bob', 'carol'].map((name) => startNode(t, name)))
  assert.ok(alice && bob && carol)
  const make = async () => catalogue.invite.output(z).parse(await json(alice.home, 'invite', '--expires', '600'))
  const used = await make()
  await json(bob.home, 'join', used.invite)
  const refused = async (home: Home, text: string): Promise<readonly [number | null, string]> => {
    const result = await home.p2p('join', text, '--json')
    assert.ok(!result.stderr.includes(text), 'the error holds the invite')
    return [result.code, errorCode(result)]
  }
  assert.deepEqual(await refused(carol.home, used.invite), [9, 'INVITE_USED'])
  assert.deepEqual(await refused(bob.home, used.invite), [9, 'INVITE_USED'])
  const open = await make()
  const at = Math.floor(open.invite.length / 2)
  const altered = `${open.invite.slice(0, at)}${open.invite[at] === 'A' ? 'B' : 'A'}${open.invite.slice(at + 1)}`
  assert.deepEqual(await refused(carol.home, altered), [9, 'INVITE_INVALID'])
  assert.deepEqual(await refused(carol.home, open.invite.slice(0, -3)), [9, 'INVITE_INVALID'])
  assert.deepEqual(await refused(alice.home, open.invite), [9, 'INVITE_INVALID'])
  const listed = catalogue.inviteList.output(z).parse(await json(alice.home, 'invite', 'list')).invites
  assert.deepEqual(
    new Map(listed.map(({ id, state, usedBy }) => [id, [state, usedBy?.name]])),
    new Map([
      [used.id, ['used', 'bob']],
      [open.id, ['open', undefined]]
    ])
  )
  assert.equal((await json(alice.home, 'invite', 'revoke', open.id.slice(0, 6)))['id'], open.id)
  assert.deepEqual(await refused(carol.home, open.invite), [9, 'INVITE_REVOKED'])
  assert.match((await alice.home.p2p('invite', 'list')).stdout, new RegExp(`^${open.id} +revoked$`, 'm'))
  const drawn = (await alice.home.p2p('invite', '--qr')).stdout.trimEnd().split('\n')
  assert.match(drawn[0] ?? '', /^smi1/)
  assert.ok(drawn.length > 20 && drawn.slice(1).every((line) => /^[ \u2580\u2584\u2588]{41,}$/.test(line)))
  assert.equal(catalogue.invite.output(z).parse(await json(alice.home, 'invite', '--qr')).paired, undefined)
  const late = await alice.home.p2p('invite', 'wait', (await make()).id, '--timeout', '1', '--json')
  assert.deepEqual([late.code, errorCode(late)], [6, 'TIMEOUT'])
  const unknown = await alice.home.p2p('invite', 'revoke', 'ffffffffffff', '--json')
  assert.deepEqual([unknown.code, errorCode(unknown)], [5, 'INVITE_UNKNOWN'])
})

test('where two peers have one name, join and approve say so and how to tell them apart', async (t) => {
  const [hub, first, second] = await Promise.all(['hub', 'worker', 'worker'].map((name) => startNode(t, name)))
  assert.ok(hub && first && second)
  const invited = async (from: Home): Promise<string> => (await json<{ readonly invite: string }>(from, 'invite')).invite
  assert.equal((await json(hub.home, 'join', await invited(first.home)))['note'], undefined)
  const { stdout } = await hub.home.p2p('join', await invited(second.home))
  assert.match(stdout, new RegExp(`Another peer is called worker too.*peer rename ${second.peerId} ALIAS`))
  assert.match(stdout, new RegExp(`If they differ: .*peer remove ${second.peerId}$`, 'm'))
  const unclear = await hub.home.p2p('message', 'worker', 'hi', '--json')
  assert.equal(errorCode(unclear), 'NAME_AMBIGUOUS')
  const approved = catalogue.approve.output(z).parse(await json(hub.home, 'approve', second.peerId))
  assert.match(approved.note ?? '', /that name alone is ambiguous now/)
  assert.equal(catalogue.approve.output(z).parse(await json(hub.home, 'approve', second.peerId, '--as', 'helper')).note, undefined)
})

test('Ctrl-C ends the waiting and not the invite', async (t) => {
  const [alice, bob] = await Promise.all(['alice', 'bob'].map((name) => startNode(t, name)))
  assert.ok(alice && bob)
  const waiting = inviteAndWait(alice.home, '--json')
  const { invite } = JSON.parse(await waiting.line())
  waiting.interrupt()
  assert.equal((await waiting.end()).code, 130)
  assert.equal((await json(bob.home, 'join', invite))['peerId'], alice.peerId)
})
