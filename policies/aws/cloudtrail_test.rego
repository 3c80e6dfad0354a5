package sealtail.aws.cloudtrail_test

import data.sealtail.aws.cloudtrail

event(source, name) := {
	"eventVersion": "1.08",
	"eventType": "AwsApiCall",
	"eventSource": source,
	"eventName": name,
	"userIdentity": {"type": "IAMUser", "userName": "alice"},
}

found(fields) := {v.id | some v in cloudtrail.verdicts with input as {"message": json.marshal(fields), "fields": fields}}

# as an event on a line of its own, and as one of the Records of a file
ids(fields) := found(fields) & found({"Records": [event("sts.amazonaws.com", "GetCallerIdentity"), fields]})

test_aws_root_used if {
	"aws-root-used" in ids(object.union(event("iam.amazonaws.com", "ListUsers"), {"userIdentity": {"type": "Root"}}))
}

test_aws_root_used_near_miss if {
	not "aws-root-used" in ids(object.union(event("iam.amazonaws.com", "ListUsers"), {"userIdentity": {"type": "Root", "invokedBy": "support.amazonaws.com"}}))
	not "aws-root-used" in ids(object.union(event("iam.amazonaws.com", "ListUsers"), {"userAgent": "Root"}))
}

test_aws_login_failed if {
	"aws-login-failed" in ids(object.union(event("signin.amazonaws.com", "ConsoleLogin"), {"responseElements": {"ConsoleLogin": "Failure"}, "additionalEventData": {"MFAUsed": "No"}}))
}

test_aws_login_failed_near_miss if {
	not "aws-login-failed" in ids(object.union(event("signin.amazonaws.com", "ConsoleLogin"), {"responseElements": {"ConsoleLogin": "Success"}, "additionalEventData": {"MFAUsed": "Yes"}}))
}

test_aws_login_without_mfa if {
	"aws-login-without-mfa" in ids(object.union(event("signin.amazonaws.com", "ConsoleLogin"), {"responseElements": {"ConsoleLogin": "Success"}, "additionalEventData": {"MFAUsed": "No"}}))
}

test_aws_login_without_mfa_near_miss if {
	not "aws-login-without-mfa" in ids(object.union(event("signin.amazonaws.com", "ConsoleLogin"), {"responseElements": {"ConsoleLogin": "Success"}, "additionalEventData": {"MFAUsed": "Yes"}}))
	not "aws-login-without-mfa" in ids(object.union(event("signin.amazonaws.com", "ConsoleLogin"), {"userIdentity": {"type": "AssumedRole"}, "responseElements": {"ConsoleLogin": "Success"}, "additionalEventData": {"MFAUsed": "No"}}))
}

test_aws_trail_changed if {
	"aws-trail-changed" in ids(event("cloudtrail.amazonaws.com", "StopLogging"))
	"aws-trail-changed" in ids(event("cloudtrail.amazonaws.com", "DeleteTrail"))
	"aws-trail-changed" in ids(event("cloudtrail.amazonaws.com", "UpdateTrail"))
	"aws-trail-changed" in ids(event("cloudtrail.amazonaws.com", "PutEventSelectors"))
}

test_aws_trail_changed_near_miss if {
	not "aws-trail-changed" in ids(event("cloudtrail.amazonaws.com", "DescribeTrails"))
	not "aws-trail-changed" in ids(object.union(event("cloudtrail.amazonaws.com", "StopLogging"), {"errorCode": "ThrottlingException"}))
	not "aws-trail-changed" in ids(event("other.amazonaws.com", "StopLogging"))
}

test_aws_logs_removed if {
	"aws-logs-removed" in ids(event("logs.amazonaws.com", "DeleteLogGroup"))
	"aws-logs-removed" in ids(event("logs.amazonaws.com", "PutRetentionPolicy"))
	"aws-logs-removed" in ids(event("ec2.amazonaws.com", "DeleteFlowLogs"))
}

test_aws_logs_removed_near_miss if {
	not "aws-logs-removed" in ids(event("logs.amazonaws.com", "CreateLogGroup"))
	not "aws-logs-removed" in ids(event("ec2.amazonaws.com", "CreateFlowLogs"))
}

test_aws_watch_off if {
	"aws-watch-off" in ids(event("guardduty.amazonaws.com", "DeleteDetector"))
	"aws-watch-off" in ids(event("config.amazonaws.com", "StopConfigurationRecorder"))
	"aws-watch-off" in ids(event("securityhub.amazonaws.com", "DisableSecurityHub"))
}

test_aws_watch_off_near_miss if {
	not "aws-watch-off" in ids(event("guardduty.amazonaws.com", "GetDetector"))
	not "aws-watch-off" in ids(event("config.amazonaws.com", "StartConfigurationRecorder"))
}

test_aws_rights_changed if {
	"aws-rights-changed" in ids(event("iam.amazonaws.com", "AttachUserPolicy"))
	"aws-rights-changed" in ids(event("iam.amazonaws.com", "PutRolePolicy"))
	"aws-rights-changed" in ids(event("iam.amazonaws.com", "UpdateAssumeRolePolicy"))
	"aws-rights-changed" in ids(event("iam.amazonaws.com", "AddUserToGroup"))
}

test_aws_rights_changed_near_miss if {
	not "aws-rights-changed" in ids(event("iam.amazonaws.com", "GetUserPolicy"))
	not "aws-rights-changed" in ids(object.union(event("iam.amazonaws.com", "AttachUserPolicy"), {"errorCode": "ThrottlingException"}))
	not "aws-rights-changed" in ids(event("other.amazonaws.com", "AttachUserPolicy"))
}

test_aws_user_changed if {
	"aws-user-changed" in ids(event("iam.amazonaws.com", "CreateUser"))
	"aws-user-changed" in ids(event("iam.amazonaws.com", "CreateLoginProfile"))
	"aws-user-changed" in ids(event("iam.amazonaws.com", "DeleteRole"))
}

test_aws_user_changed_near_miss if {
	not "aws-user-changed" in ids(event("iam.amazonaws.com", "GetUser"))
	not "aws-user-changed" in ids(object.union(event("iam.amazonaws.com", "CreateUser"), {"errorCode": "ThrottlingException"}))
	not "aws-user-changed" in ids(event("other.amazonaws.com", "CreateUser"))
}

test_aws_access_key_made if {
	"aws-access-key-made" in ids(event("iam.amazonaws.com", "CreateAccessKey"))
}

test_aws_access_key_made_near_miss if {
	not "aws-access-key-made" in ids(event("iam.amazonaws.com", "ListAccessKeys"))
	not "aws-access-key-made" in ids(object.union(event("iam.amazonaws.com", "CreateAccessKey"), {"errorCode": "ThrottlingException"}))
	not "aws-access-key-made" in ids(event("other.amazonaws.com", "CreateAccessKey"))
}

test_aws_mfa_removed if {
	"aws-mfa-removed" in ids(event("iam.amazonaws.com", "DeactivateMFADevice"))
	"aws-mfa-removed" in ids(event("iam.amazonaws.com", "DeleteVirtualMFADevice"))
}

test_aws_mfa_removed_near_miss if {
	not "aws-mfa-removed" in ids(event("iam.amazonaws.com", "EnableMFADevice"))
	not "aws-mfa-removed" in ids(object.union(event("iam.amazonaws.com", "DeactivateMFADevice"), {"errorCode": "ThrottlingException"}))
	not "aws-mfa-removed" in ids(event("other.amazonaws.com", "DeactivateMFADevice"))
}

test_aws_password_rules_changed if {
	"aws-password-rules-changed" in ids(event("iam.amazonaws.com", "UpdateAccountPasswordPolicy"))
}

test_aws_password_rules_changed_near_miss if {
	not "aws-password-rules-changed" in ids(event("iam.amazonaws.com", "GetAccountPasswordPolicy"))
	not "aws-password-rules-changed" in ids(object.union(event("iam.amazonaws.com", "UpdateAccountPasswordPolicy"), {"errorCode": "ThrottlingException"}))
	not "aws-password-rules-changed" in ids(event("other.amazonaws.com", "UpdateAccountPasswordPolicy"))
}

test_aws_denied if {
	"aws-denied" in ids(object.union(event("s3.amazonaws.com", "GetObject"), {"errorCode": "AccessDenied"}))
	"aws-denied" in ids(object.union(event("ec2.amazonaws.com", "RunInstances"), {"errorCode": "Client.UnauthorizedOperation"}))
}

test_aws_denied_near_miss if {
	not "aws-denied" in ids(object.union(event("s3.amazonaws.com", "GetObject"), {"errorCode": "NoSuchKey"}))
	not "aws-denied" in ids(object.union(event("s3.amazonaws.com", "GetObject"), {"userAgent": "AccessDenied"}))
}

test_aws_network_changed if {
	"aws-network-changed" in ids(event("ec2.amazonaws.com", "AuthorizeSecurityGroupIngress"))
	"aws-network-changed" in ids(event("ec2.amazonaws.com", "ReplaceRoute"))
	"aws-network-changed" in ids(event("ec2.amazonaws.com", "CreateVpcPeeringConnection"))
}

test_aws_network_changed_near_miss if {
	not "aws-network-changed" in ids(event("ec2.amazonaws.com", "DescribeSecurityGroups"))
	not "aws-network-changed" in ids(object.union(event("ec2.amazonaws.com", "AuthorizeSecurityGroupIngress"), {"errorCode": "ThrottlingException"}))
	not "aws-network-changed" in ids(event("other.amazonaws.com", "AuthorizeSecurityGroupIngress"))
}

test_aws_bucket_access_changed if {
	"aws-bucket-access-changed" in ids(event("s3.amazonaws.com", "PutBucketPolicy"))
	"aws-bucket-access-changed" in ids(event("s3.amazonaws.com", "DeleteBucketPublicAccessBlock"))
}

test_aws_bucket_access_changed_near_miss if {
	not "aws-bucket-access-changed" in ids(event("s3.amazonaws.com", "GetBucketPolicy"))
	not "aws-bucket-access-changed" in ids(object.union(event("s3.amazonaws.com", "PutBucketPolicy"), {"errorCode": "ThrottlingException"}))
	not "aws-bucket-access-changed" in ids(event("other.amazonaws.com", "PutBucketPolicy"))
}

test_aws_bucket_protection_changed if {
	"aws-bucket-protection-changed" in ids(event("s3.amazonaws.com", "PutBucketVersioning"))
	"aws-bucket-protection-changed" in ids(event("s3.amazonaws.com", "DeleteBucketEncryption"))
}

test_aws_bucket_protection_changed_near_miss if {
	not "aws-bucket-protection-changed" in ids(event("s3.amazonaws.com", "GetBucketVersioning"))
	not "aws-bucket-protection-changed" in ids(object.union(event("s3.amazonaws.com", "PutBucketVersioning"), {"errorCode": "ThrottlingException"}))
	not "aws-bucket-protection-changed" in ids(event("other.amazonaws.com", "PutBucketVersioning"))
}

test_aws_key_disabled if {
	"aws-key-disabled" in ids(event("kms.amazonaws.com", "ScheduleKeyDeletion"))
	"aws-key-disabled" in ids(event("kms.amazonaws.com", "DisableKey"))
}

test_aws_key_disabled_near_miss if {
	not "aws-key-disabled" in ids(event("kms.amazonaws.com", "Decrypt"))
	not "aws-key-disabled" in ids(object.union(event("kms.amazonaws.com", "ScheduleKeyDeletion"), {"errorCode": "ThrottlingException"}))
	not "aws-key-disabled" in ids(event("other.amazonaws.com", "ScheduleKeyDeletion"))
}

test_aws_secret_read if {
	"aws-secret-read" in ids(event("secretsmanager.amazonaws.com", "GetSecretValue"))
	"aws-secret-read" in ids(object.union(event("secretsmanager.amazonaws.com", "GetSecretValue"), {"userIdentity": {"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/AWSReservedSSO_Admin_1/alice"}}))
}

test_aws_secret_read_near_miss if {
	not "aws-secret-read" in ids(object.union(event("secretsmanager.amazonaws.com", "GetSecretValue"), {"userIdentity": {"type": "AssumedRole", "arn": "arn:aws:sts::1:assumed-role/app/i-1"}}))
	not "aws-secret-read" in ids(object.union(event("secretsmanager.amazonaws.com", "GetSecretValue"), {"errorCode": "ResourceNotFoundException"}))
}

test_aws_snapshot_shared if {
	"aws-snapshot-shared" in ids(event("ec2.amazonaws.com", "ModifySnapshotAttribute"))
	"aws-snapshot-shared" in ids(event("ec2.amazonaws.com", "ModifyImageAttribute"))
	"aws-snapshot-shared" in ids(event("rds.amazonaws.com", "ModifyDBSnapshotAttribute"))
}

test_aws_snapshot_shared_near_miss if {
	not "aws-snapshot-shared" in ids(event("ec2.amazonaws.com", "DescribeSnapshotAttribute"))
	not "aws-snapshot-shared" in ids(object.union(event("ec2.amazonaws.com", "ModifySnapshotAttribute"), {"errorCode": "X"}))
}
