/** The runner of the tests counts honestly: a crash, a hang or an empty file is a failure, a forbidden skip as well. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { runTests, type TestRun } from '../../scripts/lib/run-tests.ts'
import { runAgain, secondRunsAtMost } from '../../scripts/lib/second-runs.ts'
import { addCounts, summarize } from '../../scripts/lib/test-summary.ts'

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'synaptic-mesh-runner-'))
})
after(() => rm(folder, { recursive: true, force: true }))

async function runText(name: string, text: string, timeoutMs = 30_000): Promise<TestRun> {
  const file = join(folder, `${name}.test.mjs`)
  await writeFile(file, `import { test, describe, before } from 'node:test'\n${text}`)
  return runTests({ files: [file], timeoutMs, env: { NODE_TEST_CONTEXT: undefined } })
}

const counts = (run: TestRun, isCi = false): string => {
  const { pass, fail, skipped } = summarize(run, isCi).counts
  return `${pass} passed, ${fail} failed, ${skipped} skipped`
}

test('passes, failures and skips are counted, and a failure shows its reason', async () => {
  const run = await runText(
    'mixed',
    "test('good', () => {}); test('bad', () => { throw new Error('reason') }); test('not here', (t) => t.skip('no printer'))"
  )
  assert.equal(counts(run), '1 passed, 1 failed, 1 skipped')
  assert.match(summarize(run, false).failures[0]?.text ?? '', /reason/)
  assert.match(summarize(run, false).skips[0] ?? '', /not here: no printer/)
})

test('a parent whose child fails is counted, and told once', async () => {
  const run = await runText('nested', "test('parent', async (t) => { await t.test('child', () => { throw new Error('x') }) })")
  assert.equal(counts(run), '0 passed, 2 failed, 0 skipped')
  assert.equal(summarize(run, false).failures.length, 1)
})

test('a suite is no test, but a broken hook fails', async () => {
  assert.equal(counts(await runText('suite', "describe('s', () => { test('in it', () => {}) })")), '1 passed, 0 failed, 0 skipped')
  const broken = await runText('hook', "describe('s', () => { before(() => { throw new Error('hook') }); test('in it', () => {}) })")
  assert.match(counts(broken), /^0 passed, [12] failed/)
})

test('a process that ends before its tests is a failure', async () => {
  assert.equal(counts(await runText('exit', 'process.exit(0)')), '0 passed, 1 failed, 0 skipped')
})

test('a file without a test is a failure', async () => {
  assert.equal(counts(await runText('empty', '')), '0 passed, 1 failed, 0 skipped')
})

test('a process that hangs is ended and is a failure', async () => {
  const run = await runText('hang', "test('hangs', () => new Promise(() => setInterval(() => {}, 1000)))", 1_000)
  assert.match(counts(run), /[12] failed/)
  assert.match(run.crash ?? '', /took longer/)
})

test('a skip for want of a tool fails under CI and only there', async () => {
  const run = await runText('needs', "test('as root', (t) => t.skip('skipped: needs root'))")
  assert.equal(counts(run, false), '0 passed, 0 failed, 1 skipped')
  assert.equal(counts(run, true), '0 passed, 1 failed, 0 skipped')
})

test('the counts of several processes add up', () => {
  const total = addCounts([
    { tests: 3, pass: 1, fail: 1, skipped: 1 },
    { tests: 2, pass: 2, fail: 0, skipped: 0 }
  ])
  assert.deepEqual(total, { tests: 5, pass: 3, fail: 1, skipped: 1 })
})

const named = (file: string, crash?: string): TestRun => ({ files: [file], results: [], output: '', durationMs: 1, crash })
const rules = { hasFailed: ({ crash }: TestRun): boolean => crash !== undefined, livesByTheClock: (file: string): boolean => file.startsWith('net') }

test('a file that lives by the clock runs once more alone: its second run counts, and whoever passes is named', async () => {
  const asked: string[] = []
  const runAlone = async (file: string): Promise<TestRun> => {
    asked.push(file)
    return named(file, file === 'net/broken' ? 'again' : undefined)
  }
  const runs = [named('net/steady'), named('net/unsteady', 'once'), named('net/broken', 'once')]
  const second = await runAgain(runs, { ...rules, runAlone })
  assert.deepEqual(asked, ['net/unsteady', 'net/broken'])
  assert.deepEqual(second.unsteady, ['net/unsteady'])
  assert.deepEqual(
    second.runs.map(({ crash }) => crash),
    [undefined, undefined, 'again']
  )
})

test('many failures, or one of what no clock can disturb, stand as they are', async () => {
  const runAlone = (): Promise<TestRun> => assert.fail('nothing may run again')
  const many = Array.from({ length: secondRunsAtMost + 1 }, (_, index) => named(`net/${index}`, 'failed'))
  const mixed = [named('net/unsteady', 'failed'), named('core/wrong', 'failed')]
  for (const runs of [many, mixed]) assert.deepEqual(await runAgain(runs, { ...rules, runAlone }), { runs, unsteady: [] })
})
