# METADATA
# title: AWS CloudTrail
# description: CloudTrail's events, one JSON object a line, or its files as they are stored (all Records on one line).
# custom:
#   controls: [PCI-DSS-10.2.1.2, PCI-DSS-10.2.2, SOC2-CC6.1, ISO27001-A.8.15, NIST-800-53-AU-2]
package sealtail.aws.cloudtrail

events contains input.fields if input.fields.eventVersion

events contains event if some event in input.fields.Records

succeeded(event) if not event.errorCode

# some event that was let through
done(source, names) if {
	some event in events
	event.eventName in names
	event.eventSource == source
	succeeded(event)
}

# METADATA
# title: The root user of AWS
# description: The account's owner, whom no policy limits; for emergencies only.
# custom:
#   severity: critical
#   controls: [PCI-DSS-10.2.1.2, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, ISO27001-A.8.2, ISO27001-A.8.15, NIST-800-53-AC-6(9)]
verdicts contains {"id": "aws-root-used"} if {
	contains(input.message, "\"Root\"")
	some event in events
	event.userIdentity.type == "Root"
	not event.userIdentity.invokedBy
	event.eventType != "AwsServiceEvent"
}

# METADATA
# title: Console login failed
# description: A wrong password or second factor.
# custom:
#   severity: medium
#   controls: [PCI-DSS-10.2.1.4, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, ISO27001-A.8.5, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "aws-login-failed"} if {
	contains(input.message, "\"ConsoleLogin\"")
	some event in events
	event.eventName == "ConsoleLogin"
	event.responseElements.ConsoleLogin == "Failure"
}

# METADATA
# title: Console login without a second factor
# description: A password alone was enough.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.2, PCI-DSS-8.4.2, HIPAA-164.312(d), SOC2-CC6.1, ISO27001-A.8.5, NIST-800-53-IA-2]
verdicts contains {"id": "aws-login-without-mfa"} if {
	contains(input.message, "\"ConsoleLogin\"")
	some event in events
	event.eventName == "ConsoleLogin"
	event.responseElements.ConsoleLogin == "Success"
	event.additionalEventData.MFAUsed == "No"
	event.userIdentity.type in {"IAMUser", "Root"}
}

# METADATA
# title: Trail stopped or changed
# description: What CloudTrail no longer records can't be known later.
# custom:
#   severity: critical
#   controls: [PCI-DSS-10.2.1.6, PCI-DSS-10.7.2, HIPAA-164.312(b), SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-9, NIST-800-53-AU-12]
verdicts contains {"id": "aws-trail-changed", "decision": "deny"} if {
	contains(input.message, "cloudtrail.amazonaws.com")
	done("cloudtrail.amazonaws.com", {"StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors", "DeleteEventDataStore"})
}

# METADATA
# title: Other logs of AWS removed
# description: Groups of CloudWatch, flow logs of a VPC, or the access log of a bucket.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.6, PCI-DSS-10.3.2, PCI-DSS-10.7.2, HIPAA-164.312(b), SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-9]
verdicts contains {"id": "aws-logs-removed"} if logs_removed

logs_removed if {
	contains(input.message, "logs.amazonaws.com")
	done("logs.amazonaws.com", {"DeleteLogGroup", "DeleteLogStream", "PutRetentionPolicy"})
}

logs_removed if {
	contains(input.message, "DeleteFlowLogs")
	done("ec2.amazonaws.com", {"DeleteFlowLogs"})
}

# METADATA
# title: Watch of AWS switched off
# description: GuardDuty, Config or Security Hub ended.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.7.2, SOC2-CC7.1, SOC2-CC7.2, ISO27001-A.8.16, NIST-800-53-SI-4, NIST-800-53-AU-5]
verdicts contains {"id": "aws-watch-off"} if watch_off

watch_off if {
	contains(input.message, "guardduty.amazonaws.com")
	done("guardduty.amazonaws.com", {"DeleteDetector", "UpdateDetector", "StopMonitoringMembers", "DisassociateFromMasterAccount"})
}

watch_off if {
	contains(input.message, "config.amazonaws.com")
	done("config.amazonaws.com", {"StopConfigurationRecorder", "DeleteConfigurationRecorder", "DeleteDeliveryChannel"})
}

watch_off if {
	contains(input.message, "securityhub.amazonaws.com")
	done("securityhub.amazonaws.com", {"DisableSecurityHub"})
}

# METADATA
# title: Rights in AWS changed
# description: A policy of IAM was written, attached or taken away.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.5, PCI-DSS-10.2.2, SOC2-CC6.1, SOC2-CC6.3, ISO27001-A.5.18, ISO27001-A.8.15, NIST-800-53-AC-2]
verdicts contains {"id": "aws-rights-changed"} if {
	contains(input.message, "iam.amazonaws.com")
	done("iam.amazonaws.com", {
		"AttachGroupPolicy", "AttachRolePolicy", "AttachUserPolicy", "CreatePolicy", "CreatePolicyVersion", "DeletePolicy",
		"DeletePolicyVersion", "DeleteGroupPolicy", "DeleteRolePolicy", "DeleteUserPolicy", "DetachGroupPolicy",
		"DetachRolePolicy", "DetachUserPolicy", "PutGroupPolicy", "PutRolePolicy", "PutUserPolicy",
		"SetDefaultPolicyVersion", "UpdateAssumeRolePolicy", "AddUserToGroup",
	})
}

# METADATA
# title: User of AWS added or removed
# description: Accounts of IAM and their passwords for the console.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.5, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, SOC2-CC6.2, ISO27001-A.5.16, ISO27001-A.8.15, NIST-800-53-AC-2]
verdicts contains {"id": "aws-user-changed"} if {
	contains(input.message, "iam.amazonaws.com")
	done("iam.amazonaws.com", {"CreateUser", "DeleteUser", "CreateLoginProfile", "UpdateLoginProfile", "DeleteLoginProfile", "CreateRole", "DeleteRole"})
}

# METADATA
# title: Access key of AWS made
# description: It works from anywhere until somebody deletes it.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.5, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, ISO27001-A.8.5, ISO27001-A.8.15, NIST-800-53-IA-5]
verdicts contains {"id": "aws-access-key-made"} if {
	contains(input.message, "CreateAccessKey")
	done("iam.amazonaws.com", {"CreateAccessKey"})
}

# METADATA
# title: Second factor taken away
# description: An account of AWS is now protected by its password alone.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.5, PCI-DSS-8.4.2, PCI-DSS-10.2.2, HIPAA-164.312(d), SOC2-CC6.1, ISO27001-A.8.5, NIST-800-53-IA-2]
verdicts contains {"id": "aws-mfa-removed"} if {
	contains(input.message, "MFADevice")
	done("iam.amazonaws.com", {"DeactivateMFADevice", "DeleteVirtualMFADevice"})
}

# METADATA
# title: Rules for passwords changed
# description: What passwords of the account must be like is another now.
# custom:
#   severity: medium
#   controls: [PCI-DSS-10.2.1.5, PCI-DSS-10.2.2, SOC2-CC6.1, ISO27001-A.8.5, NIST-800-53-IA-5]
verdicts contains {"id": "aws-password-rules-changed"} if {
	contains(input.message, "AccountPasswordPolicy")
	done("iam.amazonaws.com", {"UpdateAccountPasswordPolicy", "DeleteAccountPasswordPolicy"})
}

# METADATA
# title: Refused by AWS
# description: Somebody tried what their policies do not allow.
# custom:
#   severity: low
#   controls: [PCI-DSS-10.2.1.4, PCI-DSS-10.2.2, HIPAA-164.312(b), SOC2-CC6.1, SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "aws-denied", "decision": "deny"} if {
	denied_word
	some event in events
	event.errorCode in {"AccessDenied", "AccessDeniedException", "Client.UnauthorizedOperation", "UnauthorizedOperation"}
}

denied_word if contains(input.message, "AccessDenied")

denied_word if contains(input.message, "UnauthorizedOperation")

# METADATA
# title: Network of AWS changed
# description: Security groups, access lists, gateways and routes decide who reaches what.
# custom:
#   severity: medium
#   controls: [PCI-DSS-10.2.1.7, PCI-DSS-10.2.2, SOC2-CC6.6, SOC2-CC8.1, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "aws-network-changed"} if {
	contains(input.message, "ec2.amazonaws.com")
	done("ec2.amazonaws.com", {
		"AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress", "RevokeSecurityGroupIngress",
		"RevokeSecurityGroupEgress", "CreateSecurityGroup", "DeleteSecurityGroup", "CreateNetworkAcl", "DeleteNetworkAcl",
		"CreateNetworkAclEntry", "DeleteNetworkAclEntry", "ReplaceNetworkAclEntry", "CreateInternetGateway",
		"AttachInternetGateway", "DeleteInternetGateway", "CreateRoute", "ReplaceRoute", "DeleteRoute",
		"CreateVpcPeeringConnection", "AcceptVpcPeeringConnection",
	})
}

# METADATA
# title: Access to a bucket changed
# description: Its policy, its list of access or the block of public access.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.5, PCI-DSS-10.2.2, GDPR-32, SOC2-CC6.1, SOC2-CC6.3, ISO27001-A.8.12, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "aws-bucket-access-changed"} if {
	contains(input.message, "s3.amazonaws.com")
	done("s3.amazonaws.com", {
		"PutBucketPolicy", "DeleteBucketPolicy", "PutBucketAcl", "PutBucketPublicAccessBlock",
		"DeleteBucketPublicAccessBlock", "PutAccountPublicAccessBlock", "DeleteAccountPublicAccessBlock",
		"PutBucketReplication",
	})
}

# METADATA
# title: Protection of a bucket taken away
# description: Encryption, versions, access log, or the lock that keeps objects from being deleted.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.3.2, PCI-DSS-10.2.1.7, HIPAA-164.312(c)(1), SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-9]
verdicts contains {"id": "aws-bucket-protection-changed"} if {
	contains(input.message, "s3.amazonaws.com")
	done("s3.amazonaws.com", {
		"DeleteBucketEncryption", "PutBucketEncryption", "PutBucketVersioning", "PutObjectLockConfiguration",
		"PutBucketObjectLockConfiguration", "PutBucketLogging", "PutBucketLifecycle", "PutBucketLifecycleConfiguration",
	})
}

# METADATA
# title: Key of AWS disabled or on its way to deletion
# description: What it encrypted can't be read any more.
# custom:
#   severity: high
#   controls: [PCI-DSS-10.2.1.7, PCI-DSS-10.2.2, SOC2-CC6.1, SOC2-CC7.2, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "aws-key-disabled"} if {
	contains(input.message, "kms.amazonaws.com")
	done("kms.amazonaws.com", {"DisableKey", "ScheduleKeyDeletion", "PutKeyPolicy", "DeleteImportedKeyMaterial"})
}

# METADATA
# title: Secret read by a person
# description: A user, or a role that a person took on in the console, read a secret or a parameter.
# custom:
#   severity: medium
#   controls: [PCI-DSS-10.2.1.1, PCI-DSS-10.2.2, HIPAA-164.312(b), GDPR-32, SOC2-CC6.1, ISO27001-A.8.15, NIST-800-53-AU-2]
verdicts contains {"id": "aws-secret-read"} if {
	contains(input.message, "GetSecretValue")
	some event in events
	event.eventName == "GetSecretValue"
	succeeded(event)
	by_person(event)
}

by_person(event) if event.userIdentity.type in {"IAMUser", "Root"}

by_person(event) if contains(event.userIdentity.arn, ":assumed-role/AWSReservedSSO_")

# METADATA
# title: Snapshot or image given to others
# description: A copy of a disk or database can be read by another account.
# custom:
#   severity: critical
#   controls: [PCI-DSS-10.2.1.1, PCI-DSS-10.2.2, GDPR-32, GDPR-33, SOC2-CC6.1, SOC2-CC7.3, ISO27001-A.8.12, NIST-800-53-AU-2]
verdicts contains {"id": "aws-snapshot-shared"} if snapshot_shared

snapshot_shared if {
	contains(input.message, "ModifySnapshotAttribute")
	done("ec2.amazonaws.com", {"ModifySnapshotAttribute"})
}

snapshot_shared if {
	contains(input.message, "ModifyImageAttribute")
	done("ec2.amazonaws.com", {"ModifyImageAttribute"})
}

snapshot_shared if {
	contains(input.message, "SnapshotAttribute")
	done("rds.amazonaws.com", {"ModifyDBSnapshotAttribute", "ModifyDBClusterSnapshotAttribute"})
}
