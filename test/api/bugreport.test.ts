import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeBugreport } from '../../src/daemon/profile-tools/bugreport-tool.ts'

test('names that only the log still has are replaced in a bug report, too', () => {
  const folder = mkdtempSync(join(tmpdir(), 'synaptic-mesh-report-'))
  try {
    chmodSync(folder, 0o700)
    const at = (name: string): string => join(folder, name)
    const paths = {
      ...{ profile: 'default', stateFolder: folder, runtimeFolder: at('run'), socketPath: at('run.sock') },
      ...{ configFile: at('config.toml'), identityFile: at('identity.key'), logFile: at('daemon.log') }
    }
    writeFileSync(paths.logFile, `${JSON.stringify({ level: 'info', event: 'group.changed', group: 'takeover-plans', state: 'removed' })}\n`, {
      mode: 0o600
    })
    const { logLines } = writeBugreport({ paths, environment: {}, target: at('report.json'), found: {} })
    const text = readFileSync(at('report.json'), 'utf8')
    assert.equal(logLines, 1)
    assert.ok(!text.includes('takeover-plans'), text)
    assert.match(text, /\[name-1\]/)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
