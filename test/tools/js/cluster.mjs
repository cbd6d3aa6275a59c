// Lists pods as the user of a kubeconfig context, with the Kubernetes client for JavaScript. Usage: node cluster.mjs CONTEXT NAMESPACE
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node";

const [context, namespace] = process.argv.slice(2);
const config = new KubeConfig();
config.loadFromDefault();
config.setCurrentContext(context);
const pods = await config.makeApiClient(CoreV1Api).listNamespacedPod({ namespace });
console.log(JSON.stringify(pods.items.map((pod) => pod.metadata.name)));
