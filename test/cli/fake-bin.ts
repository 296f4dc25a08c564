import { run } from '../../src/cli/main.ts'
import { onInterrupt } from '../../src/cli/interrupt.ts'

/** The command line with a daemon whose node is in memory. */
process.exitCode = await run({
  argv: process.argv.slice(2),
  environment: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  version: '0.0.0-test',
  daemonEntry: new URL(import.meta.url.endsWith('.ts') ? './fake-daemon.ts' : './fake-daemon.js', import.meta.url),
  onInterrupt
})
