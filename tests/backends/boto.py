"""Another client of S3 than sealtail's: AWS' own for Python.

Usage: boto.py URL CA CERTIFICATE KEY ACCESS_KEY SECRET_KEY

Each line of standard input is a JSON list of [method, arguments], each line of standard output a list of what they answered, or
{"error": code}. Besides boto3's own methods: `await` until the store answers, and `holds`, every version of every object below a
prefix with its bytes in base64.
"""

import base64
import json
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

url, ca, certificate, key, access_key, secret_key = sys.argv[1:]
client = boto3.client(
    "s3",
    endpoint_url=url,
    region_name="us-east-1",
    aws_access_key_id=access_key,
    aws_secret_access_key=secret_key,
    verify=ca,
    config=Config(client_cert=(certificate, key), s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
)


def call(method, arguments):
    if method == "await":
        return wait()
    if method == "holds":
        return holds(**arguments)
    if "Body" in arguments:
        arguments["Body"] = arguments["Body"].encode()
    try:
        answer = getattr(client, method)(**arguments)
    except ClientError as error:
        return {"error": error.response["Error"]["Code"]}
    answer.pop("ResponseMetadata", None)
    return answer


def wait():
    deadline = time.monotonic() + 120
    while True:
        try:
            client.list_buckets()
            return {}
        except (BotoCoreError, ClientError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def holds(**place):
    found = []
    for page in client.get_paginator("list_object_versions").paginate(**place):
        for version in page.get("Versions", []):
            object = client.get_object(Bucket=place["Bucket"], Key=version["Key"], VersionId=version["VersionId"])
            found.append([version["Key"], base64.b64encode(object["Body"].read()).decode()])
    return sorted(found)


for line in sys.stdin:
    print(json.dumps([call(method, arguments) for method, arguments in json.loads(line)], default=str), flush=True)
