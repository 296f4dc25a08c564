import assert from 'node:assert/strict'
import { test } from 'node:test'
import { catalogue, type Command, type Field, flagOf } from '../../src/api/index.ts'
import { runHere } from './support.ts'

const nowhere = { HOME: '/nonexistent', SYNAPTIC_MESH_DATA_DIR: '/nonexistent/data' }

/** Arguments that make a command complete but for the flag under test. */
function completed(command: Command, under: string): readonly string[] {
  return Object.entries(command.fields)
    .filter(([name, field]) => field.required === true && name !== under)
    .sort(([, a], [, b]) => (a.position ?? 99) - (b.position ?? 99))
    .flatMap(([name, field]) => (field.position === undefined ? [flagOf(name, field) ?? '', shortest(field)] : [shortest(field)]))
}

const shortest = (field: Field): string => (field.type === 'integer' ? String(field.min) : 'x'.repeat(field.type === 'text' ? (field.min ?? 1) : 1))

function outOfRange(field: Field): readonly string[] {
  switch (field.type) {
    case 'integer':
      return [
        String(field.min - 1),
        String(field.max === Number.MAX_SAFE_INTEGER ? '99999999999999999999' : field.max + 1),
        'x',
        '1.5',
        '',
        '0x1',
        ' 1'
      ]
    case 'seconds':
      return [String(field.minMs / 10_000), String(field.maxMs / 1000 + 1), 'soon', '-1', '']
    case 'choice':
      return ['nonsense', '']
    case 'text':
      return field.max > 10_000 ? [] : ['x'.repeat(field.max + 1)]
    case 'list':
      return field.choices === undefined ? ['x'.repeat(field.maxCharacters + 1)] : ['nonsense']
    case 'boolean':
      return []
  }
}

test('every flag that takes a value refuses what is out of its range, with its name and what it takes', async () => {
  let tried = 0
  for (const command of Object.values(catalogue) as readonly Command[]) {
    for (const [name, field] of Object.entries(command.fields)) {
      const flag = flagOf(name, field)
      if (flag === undefined) continue
      for (const value of outOfRange(field)) {
        const { code, stdout, stderr } = await runHere(['p2p', ...command.words, ...completed(command, name), `${flag}=${value}`, '--json'], nowhere)
        assert.equal(code, 2, `${command.words.join(' ')} ${flag}=${value.slice(0, 40)}: ${stderr}`)
        assert.equal(stdout, '')
        const { error } = JSON.parse(stderr)
        assert.equal(error.code, 'OPTION_INVALID', `${flag} ${stderr}`)
        assert.ok(error.message.includes(flag) && error.message.includes('must be'), stderr)
        tried++
      }
    }
  }
  assert.ok(tried > 100, `${tried} tried`)
})

test('a command line that is not one is told in a sentence, exit code 2', async () => {
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [['p2p', 'mesage', 'a', 'b'], /Did you mean message/],
    [['p2p', 'status', '--detaled'], /Did you mean --detailed/],
    [['p2p', 'message'], /missing required argument 'DEST'/],
    [['p2p', 'wait'], /--peers/],
    [['p2p', 'status', 'extra'], /too many arguments/],
    [['p2p', 'message', 'a', 'b', '--content', 'c'], /given twice/],
    [['p2p', 'ping', 'a', '--count'], /argument missing/],
    [['p2p', 'circuit'], /missing required argument 'PEER'/],
    [['p2p', 'circuit', 'a', '--hops', '9'], /--hops is 9: it must be a whole number from 1 to 8/],
    [['p2p', 'circuit', 'close'], /missing required argument 'CIRCUIT'/],
    [['p2p', 'shadow', 'a'], /unknown command/],
    [['nonsense'], /unknown command/]
  ]
  for (const [args, sentence] of wrong) {
    const { code, stdout, stderr } = await runHere(args, nowhere)
    assert.equal(code, 2, args.join(' '))
    assert.equal(stdout, '')
    assert.match(stderr, sentence)
    assert.doesNotMatch(stderr, /\n\s+at /)
  }
})

test('the help of a group shows what its own name does, and examples of all that is in it', async () => {
  const circuit = await runHere(['p2p', 'circuit', '--help'], nowhere)
  assert.match(circuit.stdout, /^Usage: synaptic-mesh p2p circuit \[open\] <PEER> \[options\]\n/)
  for (const example of ['circuit peer-123 --hops 3', 'circuit list', 'circuit close 3f9a12c4'])
    assert.ok(circuit.stdout.includes(`\n  synaptic-mesh p2p ${example}\n`), example)
  assert.match(circuit.stdout, /circuit open --help/)
  assert.match((await runHere(['p2p', 'circuit', 'open', '--help'], nowhere)).stdout, /--hops <HOPS>/)
  assert.match((await runHere(['p2p', 'config', '--help'], nowhere)).stdout, /^Usage: synaptic-mesh p2p config \[get\] \[KEY\] \[options\]\n/)
})

test('no part that is not built answers as if it were there', async () => {
  for (const flag of ['--shadow']) {
    const { code, stderr } = await runHere(['p2p', 'init', flag, '--json'], nowhere)
    assert.equal(code, 2)
    assert.equal(JSON.parse(stderr).error.code, 'NOT_AVAILABLE')
  }
  for (const command of ['shadow', 'quantum', 'nat', 'consensus', 'relay', 'mcp']) assert.equal((await runHere(['p2p', command], nowhere)).code, 2)
})

test('the help of what is not built says so', async () => {
  const { stdout } = await runHere(['p2p', 'init', '--help'], nowhere)
  assert.equal(stdout.replaceAll(/\s+/g, ' ').split('(not in this version)').length, 2)
})

test('a profile name cannot leave its folder, by flag or environment', async () => {
  for (const name of ['../x', '..', '/etc', 'a/b', '%2e%2e', 'a\\b', '', 'x'.repeat(4096), 'con']) {
    const byFlag = await runHere(['p2p', 'status', `--profile=${name}`, '--json'], nowhere)
    assert.equal(JSON.parse(byFlag.stderr).error.code, 'PROFILE_NAME_INVALID')
    assert.equal(byFlag.code, 2)
  }
  assert.equal((await runHere(['p2p', 'status'], { ...nowhere, SYNAPTIC_MESH_PROFILE: '../x' })).code, 2)
  assert.equal((await runHere(['p2p', 'status', `--data-dir=${'x'.repeat(5000)}`], nowhere)).code, 4)
})

test('help lists every command with its examples and needs no daemon', async () => {
  const { code, stdout } = await runHere(['p2p', '--help'], nowhere)
  assert.equal(code, 0)
  for (const command of Object.values(catalogue)) assert.ok(stdout.includes(command.words[0] ?? '?'))
  for (const command of Object.values(catalogue) as readonly Command[]) {
    const help = await runHere(['p2p', ...command.words, '--help'], nowhere)
    assert.equal(help.code, 0)
    for (const [name, field] of Object.entries(command.fields)) {
      const flag = flagOf(name, field)
      if (flag !== undefined) assert.ok(help.stdout.includes(flag), `${command.words.join(' ')} ${flag}`)
    }
    for (const example of command.examples) assert.ok(help.stdout.includes(example))
  }
  assert.equal((await runHere(['--version'], nowhere)).stdout, '0.0.0-test\n')
})

test('the words of a wrong command line are shown without their control characters', async () => {
  const { stderr } = await runHere(['p2p', 'x\u001b[2J\u202e'], nowhere)
  assert.doesNotMatch(stderr, /[\u001b\u202e]/u)
  assert.ok(stderr.includes('\\u{1b}') && stderr.includes('\\u{202e}'))
})
