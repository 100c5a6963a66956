import { isBuiltin } from 'node:module';
import { posix } from 'node:path';
import ts from 'typescript';
import { manifest, readText } from './repository.ts';

/** One import, re-export or dynamic import. */
export interface Import {
  /** The importing file, named from the root. */
  readonly file: string;
  /** As written. */
  readonly specifier: string;
  /** A path from the root, `node:NAME`, `npm:PACKAGE`, or the package's own name with its subpath. */
  readonly target: string;
  /** Nothing of it is left when types are stripped. */
  readonly typesOnly: boolean;
}

/** What a file imports and whether it has a default export. */
export interface Module {
  readonly file: string;
  readonly imports: readonly Import[];
  readonly hasDefaultExport: boolean;
}

/** Reads a module of the repository. */
export function readModule(file: string): Module {
  return parseModule(file, readText(file));
}

/** Reads a module from its text. A specifier that is computed at run time cannot be read and is left out. */
export function parseModule(file: string, text: string): Module {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest);
  const imports: Import[] = [];
  const visit = (node: ts.Node): void => {
    const found = importOf(node);
    if (found !== undefined) imports.push({ file, target: resolve(file, found.specifier), ...found });
    ts.forEachChild(node, visit);
  };
  visit(source);
  return { file, imports, hasDefaultExport: source.statements.some(isDefaultExport) };
}

function importOf(node: ts.Node): { specifier: string; typesOnly: boolean } | undefined {
  if (ts.isImportDeclaration(node)) {
    const typesOnly = node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
    return literal(node.moduleSpecifier, typesOnly);
  }
  if (ts.isExportDeclaration(node)) return literal(node.moduleSpecifier, node.isTypeOnly);
  if (ts.isImportTypeNode(node)) {
    return ts.isLiteralTypeNode(node.argument) ? literal(node.argument.literal, true) : undefined;
  }
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    return literal(node.arguments[0], false);
  }
  return undefined;
}

function literal(
  node: ts.Node | undefined,
  typesOnly: boolean,
): { specifier: string; typesOnly: boolean } | undefined {
  return node !== undefined && ts.isStringLiteralLike(node) ? { specifier: node.text, typesOnly } : undefined;
}

function isDefaultExport(statement: ts.Statement): boolean {
  if (ts.isExportAssignment(statement)) return true;
  if (ts.isExportDeclaration(statement)) {
    const clause = statement.exportClause;
    return (
      clause !== undefined &&
      ts.isNamedExports(clause) &&
      clause.elements.some((element) => element.name.text === 'default')
    );
  }
  return (
    ts.canHaveModifiers(statement) &&
    (ts.getModifiers(statement) ?? []).some((modifier) => modifier.kind === ts.SyntaxKind.DefaultKeyword)
  );
}

function resolve(file: string, specifier: string): string {
  if (specifier.startsWith('.')) return posix.join(posix.dirname(file), specifier);
  if (isBuiltin(specifier)) return specifier.startsWith('node:') ? specifier : `node:${specifier}`;
  const segments = specifier.split('/');
  if (segments[0] === manifest.name) return specifier;
  return `npm:${segments.slice(0, specifier.startsWith('@') ? 2 : 1).join('/')}`;
}
