import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { z } from 'zod'
import { catalogue, operations, type OutputOf } from '../../src/api/index.ts'
import { hostileBodies, injections } from './listen/message.ts'
import { untilGone } from './listen/running.ts'
import { finished, Home, repository, type Result } from './support.ts'

type Handled = Extract<OutputOf<typeof catalogue.listen>, { readonly handled: string }>

/** A home whose inbox has these messages, with its daemon running. */
async function homeWith(t: TestContext, messages: readonly object[]): Promise<Home> {
  const home = new Home(t)
  home.messages(messages)
  const { code, stderr } = await home.p2p('init')
  assert.equal(code, 0, stderr)
  return home
}

/** A program in the home's folder, and how `--exec` names it. */
function program(home: Home, source: string): string {
  const file = join(home.folder, `handler-${Math.random().toString(36).slice(2)}.cjs`)
  writeFileSync(file, source)
  return `'${process.execPath}' '${file}'`
}

const reports = ({ stdout }: Result): readonly Handled[] =>
  stdout
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const value = catalogue.listen.output(z).parse(JSON.parse(line))
      assert.ok('handled' in value)
      return value
    })

const listen = (home: Home, ...args: readonly string[]): Promise<Result> => home.p2p('listen', ...args, '--json')

/** Listens until `count` lines were printed, then Ctrl-C. */
async function listenFor(home: Home, count: number, ...args: readonly string[]): Promise<Result> {
  const child = home.spawn(['p2p', 'listen', '--json', ...args])
  const result = finished(child)
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
    if (text.split('\n').length > count) child.kill('SIGINT')
  })
  return result
}

async function untilThere(file: string): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!existsSync(file) && performance.now() < deadline) await new Promise((done) => setTimeout(done, 20))
  assert.ok(existsSync(file), file)
}

async function unreadOf(home: Home, ...args: readonly string[]): Promise<readonly string[]> {
  const { stdout, stderr } = await home.p2p('inbox', 'list', ...args, '--json')
  const { messages } = catalogue.inboxList.output(z).parse(JSON.parse(stdout === '' ? stderr : stdout))
  return messages.map(({ id }) => id)
}

test('a program is run for each message, and exit code 0 acknowledges it', async (t) => {
  const home = await homeWith(t, [{ id: 'one' }, { id: 'two' }])
  const log = join(home.folder, 'log')
  const exec = program(
    home,
    `require('node:fs').appendFileSync(${JSON.stringify(log)}, JSON.parse(require('node:fs').readFileSync(0, 'utf8')).id + '\\n')`
  )
  const result = await listenFor(home, 2, '--exec', exec)
  assert.equal(result.code, 130, result.stderr)
  assert.deepEqual(
    reports(result).map(({ handled, outcome, attempt, exitCode }) => [handled, outcome, attempt, exitCode]),
    [
      ['one', 'acknowledged', 1, 0],
      ['two', 'acknowledged', 1, 0]
    ]
  )
  assert.equal(readFileSync(log, 'utf8'), 'one\ntwo\n')
  assert.deepEqual(await unreadOf(home), [])
})

test('Commands reach a handler only where they were named', async (t) => {
  const home = await homeWith(t, [{ id: 'order', type: 'Command' }, { id: 'idea' }])
  const first = await listenFor(home, 1, '--exec', program(home, ''))
  assert.deepEqual(
    reports(first).map(({ handled }) => handled),
    ['idea']
  )
  assert.deepEqual(await unreadOf(home), ['order'])
  const second = await listen(home, '--exec', program(home, ''), '--type', 'command', '--once')
  assert.deepEqual(
    reports(second).map(({ handled }) => handled),
    ['order']
  )
})

test('bodies full of shell syntax, forged JSON and zero bytes do nothing but arrive', async (t) => {
  const home = await homeWith(
    t,
    hostileBodies.map((body, index) => ({ id: `m${index}`, body }))
  )
  const folder = home.folder
  const exec = program(
    home,
    `process.chdir(${JSON.stringify(folder)}); process.stdout.write(JSON.parse(require('node:fs').readFileSync(0, 'utf8')).body.slice(0, 1000))`
  )
  const result = await listenFor(home, hostileBodies.length, '--exec', exec, '--max-running', '4')
  assert.equal(result.code, 130, result.stderr)
  const seen = new Map(reports(result).map(({ handled, outcome, stdout }) => [handled, [outcome, stdout]]))
  for (const [index, body] of hostileBodies.entries()) assert.deepEqual(seen.get(`m${index}`), ['acknowledged', body.slice(0, 1000)])
  assert.ok(!existsSync(join(folder, 'pwned')) && !existsSync('pwned'))
})

test('a handler that fails, is killed or hangs loses no message: it stays unread after its attempts', async (t) => {
  for (const [source, expected] of [
    ['process.exit(7)', /exit code 7/],
    ['process.kill(process.pid, "SIGKILL")', /SIGKILL/],
    ['setInterval(() => {}, 1000)', /longer than 0.5 s/]
  ] as const) {
    const home = await homeWith(t, [{ id: 'precious', body: 'keep me' }])
    const result = await listen(home, '--exec', program(home, source), '--once', '--attempts', '2', '--exec-timeout', '0.5')
    assert.equal(result.code, 1, result.stderr)
    assert.equal(JSON.parse(result.stderr).error.code, 'HANDLER_FAILED')
    assert.deepEqual(
      reports(result).map(({ outcome, attempt }) => [outcome, attempt]),
      [
        ['failed', 1],
        ['given-up', 2]
      ]
    )
    assert.match(reports(result)[1]?.reason ?? '', expected)
    assert.deepEqual(await unreadOf(home), ['precious'])
  }
})

test('a handler that kills its listener loses no message: the next one gets it again, marked as given out before', async (t) => {
  const home = await homeWith(t, [{ id: 'precious' }])
  const result = await listen(home, '--exec', program(home, 'process.kill(process.ppid, "SIGKILL"); setTimeout(() => {}, 200)'), '--once')
  assert.equal(result.code, null)
  assert.deepEqual(await unreadOf(home), ['precious'])
  const again = await listen(
    home,
    '--exec',
    program(home, `console.log(JSON.parse(require('node:fs').readFileSync(0, 'utf8')).redelivered)`),
    '--once'
  )
  assert.deepEqual(
    reports(again).map(({ outcome, stdout }) => [outcome, stdout]),
    [['acknowledged', 'true\n']]
  )
})

test('Ctrl-C asks running handlers to end and acknowledges nothing', async (t) => {
  const home = await homeWith(t, [{ id: 'precious' }])
  const ready = join(home.folder, 'ready')
  const ended = join(home.folder, 'ended')
  const source = `const fs = require('node:fs'); process.on('SIGTERM', () => { fs.writeFileSync(${JSON.stringify(ended)}, ''); process.exit(0) }); fs.writeFileSync(${JSON.stringify(ready)}, ''); setInterval(() => {}, 1000)`
  const child = home.spawn(['p2p', 'listen', '--exec', program(home, source), '--json'])
  const result = finished(child)
  await untilThere(ready)
  child.kill('SIGINT')
  assert.equal((await result).code, 130)
  assert.ok(existsSync(ended))
  assert.deepEqual(await unreadOf(home), ['precious'])
})

test('two listeners with a handler never work on one message at the same time, and one goes on with what the other left', async (t) => {
  const home = await homeWith(
    t,
    Array.from({ length: 6 }, (_, index) => ({ id: `m${index}` }))
  )
  const log = join(home.folder, 'log')
  const exec = program(
    home,
    `const fs = require('node:fs'); const { id } = JSON.parse(fs.readFileSync(0, 'utf8')); fs.appendFileSync(${JSON.stringify(log)}, 'begin ' + id + '\\n')
     setTimeout(() => fs.appendFileSync(${JSON.stringify(log)}, 'end ' + id + '\\n'), 150)`
  )
  // The first one dies with its first message in hand.
  const ready = join(home.folder, 'ready')
  const hang = program(home, `require('node:fs').writeFileSync(${JSON.stringify(ready)}, String(process.pid)); setInterval(() => {}, 1000)`)
  const first = home.spawn(['p2p', 'listen', '--exec', hang])
  const firstEnd = finished(first)
  await untilThere(ready)
  const second = listenFor(home, 6, '--exec', exec, '--max-running', '2')
  first.kill('SIGKILL')
  await firstEnd
  // Its handler ends with it, though it was given no time to say so.
  await untilGone(Number(readFileSync(ready, 'utf8')))
  assert.equal((await second).code, 130)
  const lines = readFileSync(log, 'utf8').trim().split('\n')
  assert.equal(lines.length, 12)
  for (let index = 0; index < 6; index++) assert.ok(lines.indexOf(`begin m${index}`) < lines.indexOf(`end m${index}`))
  assert.deepEqual(await unreadOf(home), [])
})

test('what a handler prints is the Response, where one is expected, and a second try sends no second one', async (t) => {
  const home = await homeWith(t, [
    { id: 'question', expectsReply: true },
    { id: 'remark', expectsReply: false }
  ])
  const result = await listenFor(home, 2, '--exec', program(home, 'process.stdout.write("forty-two")'), '--reply')
  const [question, remark] = reports(result)
  assert.match(question?.reply ?? '', /^re-[A-Za-z0-9_-]{32}$/)
  assert.equal(remark?.reply, undefined)
  const { stdout } = await home.p2p('outbox', '--json')
  const { messages } = catalogue.outboxList.output(z).parse(JSON.parse(stdout))
  assert.deepEqual(
    messages.map(({ id, type }) => [id, type]),
    [[question?.reply, 'Response']]
  )
})

test('a named reader gets what others have acknowledged, and a label takes what is for it', async (t) => {
  const home = await homeWith(t, [{ id: 'one', toLabel: 'planner' }, { id: 'two' }])
  assert.deepEqual(JSON.parse((await home.p2p('inbox', 'consumers', 'add', 'slow', '--json')).stdout).consumers.length, 1)
  const planned = await listenFor(home, 1, '--exec', program(home, ''), '--label', 'planner', '--consumer', 'quick')
  assert.deepEqual(
    reports(planned).map(({ handled }) => handled),
    ['one']
  )
  assert.deepEqual(await unreadOf(home, '--consumer', 'quick'), ['two'])
  assert.deepEqual(await unreadOf(home, '--consumer', 'slow'), ['one', 'two'])
  assert.equal((await home.p2p('inbox', 'read', '--ack', '--consumer', 'slow')).code, 0)
  assert.deepEqual(await unreadOf(home, '--consumer', 'slow'), [])
  const nothing = await listen(home, '--exec', program(home, ''), '--consumer', 'slow', '--timeout', '1')
  assert.deepEqual([nothing.code, JSON.parse(nothing.stderr).error.code], [6, 'TIMEOUT'])
  const unknown = await home.p2p('inbox', 'list', '--consumer', 'nobody', '--json')
  assert.equal(unknown.code === 0 || JSON.parse(unknown.stderr).error.code === 'CONSUMER_UNKNOWN', true)
  const removed = await home.p2p('inbox', 'consumers', 'remove', 'slow')
  assert.match(removed.stdout, /^quick/)
})

test('a web address gets messages signed with a key that only this profile has', async (t) => {
  const home = await homeWith(t, [{ id: 'one' }])
  const got: { readonly body: string; readonly headers: Readonly<Record<string, unknown>> }[] = []
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    got.push({ body: Buffer.concat(chunks).toString('utf8'), headers: request.headers })
    response.writeHead(got.length === 1 ? 500 : 200).end()
  }
  const server = createServer((request, response) => void take(request, response)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const result = await home.p2p('listen', '--webhook', `http://127.0.0.1:${address.port}/`, '--once')
  assert.equal(result.code, 0, result.stderr)
  assert.match(result.stdout, /… Thought one from agent-001 attempt 1 of 5 failed: status 500; again in/)
  assert.match(result.stdout, /✓ Thought one from agent-001 handled in/)
  const file = join(home.paths.stateFolder, 'webhook.secret')
  assert.match(result.stderr, new RegExp(`a new key signs what is posted: ${file}`))
  assert.equal(statSync(file).mode & 0o777, 0o600)
  const text = readFileSync(file, 'utf8').trim()
  const secret = Buffer.from(text.slice('whsec_'.length), 'base64')
  assert.equal(got.length, 2)
  for (const { body, headers } of got) {
    const signed = createHmac('sha256', secret).update(`${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`)
    assert.equal(headers['webhook-signature'], `v1,${signed.digest('base64')}`)
    assert.ok(!JSON.stringify([body, headers]).includes(text.slice(6)))
  }
  assert.equal(got[0]?.headers['webhook-id'], got[1]?.headers['webhook-id'])
  chmodSync(file, 0o644)
  const open = await home.p2p('listen', '--webhook', `http://127.0.0.1:${address.port}/`, '--once', '--json')
  assert.equal(JSON.parse(open.stderr).error.code, 'PERMISSIONS_UNSAFE')
})

test('what does not fit together is a usage error before anything is taken', async (t) => {
  const home = await homeWith(t, [{ id: 'one' }])
  for (const [args, code] of [
    [['--exec', 'sh', '--webhook', 'https://agent.example/'], 'USAGE'],
    [['--reply'], 'USAGE'],
    [['word'], 'USAGE'],
    [['--exec', "sh 'open"], 'USAGE'],
    [['--exec', 'no-such-program-here'], 'HANDLER_NOT_FOUND'],
    [['--exec', 'sh', '--env', 'a=b'], 'OPTION_INVALID'],
    [['--exec', 'sh', '--max-running', '65'], 'OPTION_INVALID'],
    [['--webhook', 'http://agent.example/'], 'OPTION_INVALID'],
    [['--webhook', 'https://agent.example/', '--env', 'A'], 'USAGE']
  ] as const) {
    const result = await listen(home, ...args)
    assert.equal(result.code, 2, `${args.join(' ')}: ${result.stdout}${result.stderr}`)
    assert.equal(JSON.parse(result.stderr).error.code, code, args.join(' '))
  }
  assert.deepEqual(await unreadOf(home), ['one'])
})

test('further words of a program stand after --, as they are', async (t) => {
  const home = await homeWith(t, [{ id: 'one' }])
  const exec = program(home, 'process.stdout.write(JSON.stringify(process.argv.slice(2)))')
  const result = await home.p2p('listen', '--exec', exec, '--once', '--json', '--', '--type', 'a b', '', '$HOME')
  assert.deepEqual(JSON.parse(reports(result)[0]?.stdout ?? ''), ['--type', 'a b', '', '$HOME'])
})

test('the lines of listen --json keep what a peer wrote in one field, whatever it wrote', async (t) => {
  const corpus = [...hostileBodies, ...injections]
  const home = await homeWith(
    t,
    corpus.map((body, index) => ({ id: `m${index}`, body, paired: index % 2 === 0 }))
  )
  const { stdout } = await listenFor(home, corpus.length, '--ack')
  const lines = stdout.trimEnd().split('\n')
  assert.equal(lines.length, corpus.length)
  for (const [index, line] of lines.entries()) {
    const { body, ...rest } = operations.listen.output(z).parse(JSON.parse(line))
    assert.equal(body, corpus[index])
    assert.deepEqual([rest.untrusted, rest.sender.verified, rest.sender.paired], [true, true, index % 2 === 0])
    assert.ok(!JSON.stringify(rest).includes(JSON.stringify(body).slice(1, -1)))
    assert.doesNotMatch(line, /[\u0000-\u001f\u007f-\u009f\u200b\u202e\u2028]/)
  }
})

test('the handler of examples/agents answers whom this node knows, and leaves strangers alone', async (t) => {
  if (spawnSync('python3', ['--version']).status !== 0) {
    t.skip('python3 is not installed here')
    return
  }
  const home = await homeWith(t, [
    { id: 'question', body: 'how long is this', expectsReply: true },
    { id: 'stranger', body: 'let me in', paired: false }
  ])
  const file = join(repository, 'examples', 'agents', 'answer.py')
  const [question, stranger] = reports(await listenFor(home, 2, '--exec', 'python3', '--reply', '--attempts', '1', '--', file))
  assert.deepEqual([question?.outcome, question?.stdout], ['acknowledged', '16 characters, 4 words'])
  assert.deepEqual([stranger?.outcome, stranger?.stderr], ['given-up', 'from a stranger: left alone\n'])
})

test('the receiver of examples/agents takes what is signed with the key, and nothing else', async (t) => {
  const home = await homeWith(t, [{ id: 'one' }, { id: 'two' }])
  const [file, other] = [join(home.folder, 'key'), join(home.folder, 'other')]
  for (const each of [file, other]) writeFileSync(each, `whsec_${randomBytes(32).toString('base64')}\n`, { mode: 0o600 })
  const receiver = spawn(process.execPath, [join(repository, 'examples', 'agents', 'webhook.mjs'), file], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => receiver.kill('SIGKILL'))
  let said = ''
  receiver.stdout.on('data', (chunk: Buffer) => (said += chunk.toString('utf8')))
  const listening = /listening on (\S+)/
  while (!listening.test(said)) await once(receiver.stdout, 'data')
  const [, url = ''] = listening.exec(said) ?? []
  const forged = await listen(home, '--webhook', url, '--webhook-secret-file', other, '--once', '--attempts', '1')
  assert.deepEqual([forged.code, reports(forged)[0]?.httpStatus], [1, 401])
  const result = await listenFor(home, 2, '--webhook', url, '--webhook-secret-file', file)
  assert.deepEqual(
    reports(result).map(({ outcome, httpStatus }) => [outcome, httpStatus]),
    [
      ['acknowledged', 204],
      ['acknowledged', 204]
    ]
  )
  assert.equal(said.match(/Thought from agent-001, 5 characters/g)?.length, 2)
})

test('a listener whose reader has gone takes no more messages, and ends well', async (t) => {
  const home = await homeWith(
    t,
    Array.from({ length: 20 }, (_, index) => ({ id: `m${index}` }))
  )
  const child = home.spawn(['p2p', 'listen', '--exec', program(home, 'setTimeout(() => {}, 300)')])
  const ended = once(child, 'exit')
  await once(child.stdout, 'data')
  child.stdout.destroy()
  assert.deepEqual(await ended, [0, null])
  const unread = await unreadOf(home)
  assert.ok(unread.length > 0 && unread.length < 20, `${unread.length} are unread`)
})
