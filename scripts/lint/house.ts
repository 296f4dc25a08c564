/** The rules of this house that no published linter rule knows. Loaded by oxlint (.oxlintrc.json, jsPlugins). */
import { checkImport } from './layers.ts'

interface Node {
  readonly type: string
}

interface Identifier extends Node {
  readonly name: string
}

interface Literal extends Node {
  readonly value: unknown
}

interface Member extends Node {
  readonly object: Node
  readonly property: Node
}

interface Call extends Node {
  readonly callee: Node
  readonly arguments: readonly Node[]
}

interface Cast extends Node {
  readonly expression: Node
  readonly typeAnnotation: Node
}

interface TemplateElement extends Node {
  readonly value: { readonly raw: string }
}

interface Context {
  readonly filename: string
  readonly report: (problem: { readonly node: Node; readonly message: string }) => void
}

type Visitor = Record<string, (node: never) => void>
const rule = (create: (context: Context) => Visitor): { readonly create: (context: Context) => Visitor } => ({ create })

const isIdentifier = (node: Node): node is Identifier => node.type === 'Identifier' || node.type === 'PrivateIdentifier'
const isMember = (node: Node): node is Member => node.type === 'MemberExpression'
const isLiteral = (node: Node): node is Literal => node.type === 'Literal'
const isCast = (node: Node): node is Cast => node.type === 'TSAsExpression'
const nameOf = (node: Node): string => (isIdentifier(node) ? node.name : isMember(node) ? nameOf(node.property) : '')

/** Imports run one way, and siblings of core do not know each other. */
const layers = rule((context) => {
  const check = (node: Node & { readonly source: Literal | null }): void => {
    if (typeof node.source?.value !== 'string') return
    const problem = checkImport(context.filename, node.source.value)
    if (problem !== undefined) context.report({ node, message: problem })
  }
  return { ImportDeclaration: check, ExportNamedDeclaration: check, ExportAllDeclaration: check, ImportExpression: check }
})

/** Time and chance come in through ports: a run replays from its seed. */
const noAmbientTime = rule((context) => {
  const report = (node: Node, what: string): void =>
    context.report({ node, message: `${what} is not available here: time and random bytes come through the ports` })
  return {
    MemberExpression: (node: Member): void => {
      const what = `${nameOf(node.object)}.${nameOf(node.property)}`
      if (what === 'Date.now' || what === 'Math.random' || what === 'performance.now') report(node, what)
    },
    NewExpression: (node: Call): void => {
      if (nameOf(node.callee) === 'Date' && node.arguments.length === 0) report(node, 'new Date()')
    }
  }
})

const isFunction = (node: Node | undefined): boolean => node?.type === 'ArrowFunctionExpression' || node?.type === 'FunctionExpression'
const isText = (node: Node | undefined): boolean =>
  node?.type === 'TemplateLiteral' || (node !== undefined && isLiteral(node) && typeof node.value === 'string')

/** Every protocol id is registered through the one wrapper that knows its codec, caps, rate and deadlines. A machine's handle(input, now) is another thing. */
const noRawHandle = rule((context) => ({
  CallExpression: (node: Call): void => {
    if (!isMember(node.callee) || nameOf(node.callee.property) !== 'handle') return
    const isNode = /(?:libp2p|registrar|host|node)$/i.test(nameOf(node.callee.object))
    if (isNode || isText(node.arguments[0]) || isFunction(node.arguments[1])) {
      context.report({ node, message: 'Register a protocol through mesh/protocol-host.ts: raw handle() has no caps, rate or deadlines' })
    }
  }
}))

const weakSynchronous = /PRAGMA\s+(?:\w+\.)?synchronous\s*=\s*(?!\s*(?:FULL|EXTRA|2|3)\b)/i

/** An acknowledgement is worth what the disk flush is worth that came before it. */
const fullSynchronous = rule((context) => {
  const check = (node: Node, text: string): void => {
    if (weakSynchronous.test(text)) context.report({ node, message: 'PRAGMA synchronous may only be FULL or EXTRA' })
  }
  return {
    Literal: (node: Literal): void => (typeof node.value === 'string' ? check(node, node.value) : undefined),
    TemplateElement: (node: TemplateElement): void => check(node, node.value.raw)
  }
})

/** A cast through unknown says that the types are wrong: mend them. */
const noDoubleCast = rule((context) => ({
  TSAsExpression: (node: Cast): void => {
    if (isCast(node.expression) && node.expression.typeAnnotation.type === 'TSUnknownKeyword')
      context.report({ node, message: 'No cast through unknown' })
  }
}))

export default {
  meta: { name: 'house' },
  rules: {
    layers,
    'no-ambient-time': noAmbientTime,
    'no-raw-handle': noRawHandle,
    'full-synchronous': fullSynchronous,
    'no-double-cast': noDoubleCast
  }
}
