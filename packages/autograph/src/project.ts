/** The project that the type checker sees: made with the first file that needs it, updated file by file. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Project } from "ts-morph";
import { isLibrary, type TypeOracle } from "./oracle/oracle.ts";
import { SyntaxOracle } from "./oracle/syntax-oracle.ts";
import { CheckerOracle } from "./oracle/type-oracle.ts";
import { type SourceFile, ts } from "./syntax.ts";

export interface OpenFile {
  readonly source: SourceFile;
  readonly oracle: TypeOracle;
}

export interface ProjectHost {
  /** The file with this text, and what answers questions about it. */
  open(file: string, code: string): OpenFile;
  /** Whether the file, or one of the project that it imports, imports the library. */
  reaches(file: SourceFile): boolean;
  /** Every source file that the tsconfig names. */
  files(): readonly string[];
}

/** With types: the files of the tsconfig are read as they are imported. */
export class TypedProject implements ProjectHost {
  private readonly project: Project;
  private readonly runtime: string;
  private readonly config: string | undefined;
  private program: ts.Program | undefined;
  private oracle: CheckerOracle | undefined;
  private reached = new Map<string, boolean>();

  constructor(root: string, tsconfig: string | undefined, runtime: string) {
    this.runtime = runtime;
    this.config = tsconfig ?? findConfig(root);
    this.project = new Project({
      ...(this.config === undefined ? {} : { tsConfigFilePath: this.config }),
      skipAddingFilesFromTsConfig: true,
      skipFileDependencyResolution: true,
      compilerOptions: {
        ...(this.config === undefined ? defaults : {}),
        allowJs: true,
        noEmit: true,
        // Without it `if (bias)`, with an optional bias, would not be told from a condition on a tensor's value.
        strictNullChecks: true,
      },
    });
    for (const file of this.files()) if (/\.d\.[cm]?ts$/.test(file)) this.project.addSourceFileAtPathIfExists(file);
  }

  open(file: string, code: string): OpenFile {
    let source = this.currentProgram().getSourceFile(file);
    if (source?.text !== code) {
      this.project.createSourceFile(file, code, { overwrite: true });
      this.program = undefined;
      source = this.currentProgram().getSourceFile(file);
    }
    if (source === undefined) throw new Error(`autograph: ${file} is not a file that TypeScript reads`);
    return { source, oracle: this.oracle! };
  }

  reaches(file: SourceFile): boolean {
    const known = this.reached.get(file.fileName);
    if (known !== undefined) return known;
    // Files that import each other: what the others reach decides.
    this.reached.set(file.fileName, false);
    const found = this.importsOf(file).some((specifier) => {
      if (isLibrary(specifier, this.runtime)) return true;
      const target = this.resolveImport(specifier, file.fileName);
      return target !== undefined && this.reaches(target);
    });
    this.reached.set(file.fileName, found);
    return found;
  }

  files(): readonly string[] {
    if (this.config === undefined) return [];
    const read = ts.readConfigFile(this.config, (path) => readFileSync(path, "utf8"));
    const host: ts.ParseConfigHost = {
      useCaseSensitiveFileNames: true,
      fileExists: existsSync,
      readFile: (path) => readFileSync(path, "utf8"),
      readDirectory: (...args) => ts.sys.readDirectory(...args),
    };
    return ts.parseJsonConfigFileContent(read.config, host, dirname(this.config)).fileNames;
  }

  private importsOf(file: SourceFile): readonly string[] {
    const found: string[] = [];
    for (const statement of file.statements) {
      const specifier =
        ts.isImportDeclaration(statement) || ts.isExportDeclaration(statement) ? statement.moduleSpecifier : undefined;
      if (specifier !== undefined && ts.isStringLiteral(specifier)) found.push(specifier.text);
    }
    return found;
  }

  private resolveImport(specifier: string, from: string): SourceFile | undefined {
    const options = this.project.getCompilerOptions();
    const found = ts.resolveModuleName(specifier, from, options, this.project.getModuleResolutionHost()).resolvedModule;
    if (found === undefined || found.isExternalLibraryImport === true) return undefined;
    return this.currentProgram().getSourceFile(found.resolvedFileName);
  }

  private currentProgram(): ts.Program {
    if (this.program === undefined) {
      this.program = this.project.getProgram().compilerObject;
      this.oracle = new CheckerOracle(this.program.getTypeChecker());
      this.reached = new Map();
    }
    return this.program;
  }
}

/** Without types: each file for itself. */
export class UntypedProject implements ProjectHost {
  private readonly runtime: string;

  constructor(runtime: string) {
    this.runtime = runtime;
  }

  open(file: string, code: string): OpenFile {
    const project = new Project({
      useInMemoryFileSystem: true,
      compilerOptions: { noLib: true, noResolve: true, allowJs: true, target: ts.ScriptTarget.ESNext },
    });
    project.createSourceFile(file, code);
    const program = project.getProgram().compilerObject;
    return { source: program.getSourceFile(file)!, oracle: new SyntaxOracle(program.getTypeChecker()) };
  }

  reaches(file: SourceFile): boolean {
    return file.statements.some(
      (s) =>
        ts.isImportDeclaration(s) &&
        ts.isStringLiteral(s.moduleSpecifier) &&
        isLibrary(s.moduleSpecifier.text, this.runtime),
    );
  }

  files(): readonly string[] {
    return [];
  }
}

const defaults: ts.CompilerOptions = {
  strict: true,
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  allowImportingTsExtensions: true,
};

function findConfig(root: string): string | undefined {
  for (let folder = resolve(root); ; folder = dirname(folder)) {
    const path = join(folder, "tsconfig.json");
    if (existsSync(path)) return path;
    if (dirname(folder) === folder) return undefined;
  }
}
