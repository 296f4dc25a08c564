import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Redactor } from '../../src/daemon/profile-tools/redact.ts'

const [one, other] = ['12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN', '12D3KooWRawPbxPtP1eZaJpumGnyWX2DcUyd3RQnydr3eAto4Az7']

test('a peer is the same everywhere in a report, and another one is another', () => {
  const redactor = new Redactor([])
  assert.equal(redactor.text(`${one} called ${other}`), '[peer-1] called [peer-2]')
  assert.deepEqual(redactor.value({ list: [other, { deep: `/p2p/${one}` }], [one]: 1 }), {
    list: ['[peer-2]', { deep: '/p2p/[peer-1]' }],
    '[peer-1]': 1
  })
  assert.equal(redactor.text('…gu8UwZdi left'), '[peer-3] left')
})

test('addresses, host names and long runs of letters that may be secrets do not come through', () => {
  const secrets = [
    '198.51.100.7',
    '10.0.0.1',
    '2001:db8::17',
    'fe80::1:2:3:4',
    'mesh.example.org',
    'stun.example.net',
    'aa:bb:cc:dd:ee:ff',
    'deadbeef'.repeat(8),
    'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY',
    'smi1AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8'
  ]
  const text = [
    `/ip4/198.51.100.7/tcp/9000/p2p/${one}`,
    'from 10.0.0.1:4001',
    '/ip6/2001:db8::17/tcp/1',
    '[fe80::1:2:3:4]:9',
    '/dns4/mesh.example.org/tcp/443',
    'stun:stun.example.net:3478',
    'aa:bb:cc:dd:ee:ff',
    ...secrets.slice(7)
  ].join(' | ')
  const shown = new Redactor([]).text(text)
  for (const secret of secrets) assert.ok(!shown.includes(secret), `${secret} in ${shown}`)
})

test('what every machine has, versions and times stay readable', () => {
  const text = '/ip4/127.0.0.1/tcp/9000 and /ip4/0.0.0.0/tcp/1, after 12:30:45 in 0.5 s, code NO_PEERS, level 3'
  assert.equal(new Redactor([]).text(text), text)
})

test('names are replaced where they stand for themselves, not inside of words, and whatever characters they have', () => {
  const redactor = new Redactor([
    ['one', 'name'],
    ['node.(a+)+$', 'name'],
    ['/home/me', '~'],
    ['/home/me/state', '~state']
  ])
  assert.equal(redactor.text('one is alone, none of one'), '[name-1] is alone, none of [name-1]')
  assert.equal(redactor.text('see node.(a+)+$ at /home/me/state/x and /home/me'), 'see [name-2] at ~state/x and ~')
})

test('fields that hold secrets or bodies are hidden, whatever they hold; empty ones show that they are', () => {
  const redacted = new Redactor([]).value({
    turnPassword: 'x',
    turn_secret: 's',
    token: { a: 1 },
    body: 'b',
    words: ['a', 'b'],
    passphrase: '',
    bodies: 3
  })
  assert.deepEqual(redacted, {
    turnPassword: '[hidden]',
    turn_secret: '[hidden]',
    token: '[hidden]',
    body: '[hidden]',
    words: '[hidden]',
    passphrase: '',
    bodies: 3
  })
})
