// Starts `netc lsp` and connects the editor with it.
import { ExtensionContext, workspace } from "vscode";
import { LanguageClient, TransportKind } from "vscode-languageclient/node";

let client: LanguageClient | undefined;

export async function activate(context: ExtensionContext): Promise<void> {
  const command = workspace.getConfiguration("netc").get<string>("path", "netc");
  client = new LanguageClient(
    "netc",
    "netc",
    { command, args: ["lsp"], transport: TransportKind.stdio },
    { documentSelector: [{ language: "netc" }] },
  );
  context.subscriptions.push({ dispose: () => void client?.stop() });
  await client.start();
}

export async function deactivate(): Promise<void> {
  await client?.stop();
}
