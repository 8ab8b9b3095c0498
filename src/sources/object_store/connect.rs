//! A client for a store: the provider's own credentials, one TLS stack, limits on silence.

use std::fmt;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::http::HttpBuilder;
use object_store::local::LocalFileSystem;
use object_store::{
    BackoffConfig, Certificate, ClientOptions, Error, HeaderMap, HeaderValue, ObjectStore as Store, RetryConfig,
};

use super::location::{Location, Provider};
use super::{ObjectStore, aws_files, words};

/// How long a server may be silent in the middle of an answer.
const SILENCE: Duration = Duration::from_secs(30);
/// How long a connection may take.
const CONNECTING: Duration = Duration::from_secs(10);

/// A client, and what it was made for.
pub(super) struct Connection {
    pub(super) location: Location,
    pub(super) store: Box<dyn Store>,
    /// Which credentials were looked for, and which were there.
    sought: String,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.location.url)
    }
}

impl Connection {
    pub(super) async fn to(keys: &ObjectStore) -> Result<Self, String> {
        let location = Location::parse(&keys.url)?;
        // reqwest takes the process's provider; whoever comes first sets the only one there is.
        drop(rustls::crypto::ring::default_provider().install_default());
        let options = options(keys).await?;
        let (store, sought) = match location.provider {
            Provider::S3 => s3(keys, options)?,
            Provider::Gcs => (gcs(keys, options).map_err(|error| in_words(&error))?, words::sought(words::GOOGLE)),
            Provider::Azure => (azure(keys, options).map_err(|error| in_words(&error))?, words::sought(words::AZURE)),
            Provider::Http => (http(&location, options).map_err(|error| in_words(&error))?, words::of_http(keys)),
            Provider::File => (Box::new(LocalFileSystem::new()) as Box<dyn Store>, String::new()),
        };
        Ok(Self { location, store, sought })
    }

    /// An error of this store for people.
    pub(super) fn explain(&self, error: &Error) -> String {
        words::explain(error, &self.sought)
    }

    /// Whether the bucket itself is what is missing.
    pub(super) async fn lacks_bucket(&self) -> bool {
        let listed = self.store.list_with_delimiter(Some(&self.location.path)).await;
        matches!(self.location.provider, Provider::S3 | Provider::Gcs | Provider::Azure)
            && listed.is_err_and(|error| words::refusal(&error) == Some(words::Refusal::Absent))
    }
}

fn in_words(error: &Error) -> String {
    words::explain(error, "")
}

async fn options(keys: &ObjectStore) -> Result<ClientOptions, String> {
    let mut options = ClientOptions::new()
        .with_allow_http(keys.allow_http)
        .with_connect_timeout(CONNECTING)
        .with_read_timeout(SILENCE)
        .with_timeout_disabled()
        .with_user_agent(HeaderValue::from_static(concat!("drctl/", env!("CARGO_PKG_VERSION"))));
    if let Some(path) = &keys.ca_crt {
        let unfit = |reason: String| format!("`{}`: {reason}", path.display());
        let pem = std::fs::read(path).map_err(|error| unfit(error.to_string()))?;
        for certificate in Certificate::from_pem_bundle(&pem).map_err(|error| unfit(error.to_string()))? {
            options = options.with_root_certificate(certificate);
        }
    }
    if let Some(secret) = &keys.authorization {
        let secret = secret.read_line().await.map_err(|error| error.to_string())?;
        let mut value = HeaderValue::from_bytes(secret.expose())
            .map_err(|_| "`authorization` is not one line of text".to_owned())?;
        value.set_sensitive(true);
        options = options.with_default_headers(HeaderMap::from_iter([(http_authorization(), value)]));
    }
    Ok(options)
}

fn http_authorization() -> reqwest::header::HeaderName {
    reqwest::header::AUTHORIZATION
}

/// Few and short: what outlives them is tried again by who downloads, from the last byte on.
fn retry() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: 3, retry_timeout: Duration::from_secs(15) }
}

fn s3(keys: &ObjectStore, options: ClientOptions) -> Result<(Box<dyn Store>, String), String> {
    let mut builder = AmazonS3Builder::from_env();
    let profile = aws_files::Profile::read(|name| std::env::var(name).ok())?;
    if builder.get_config_value(&AmazonS3ConfigKey::AccessKeyId).is_none()
        && let Some(found) = &profile.credentials
    {
        builder = builder.with_access_key_id(&found.id).with_secret_access_key(&found.secret);
        if let Some(token) = &found.token {
            builder = builder.with_token(token);
        }
    }
    let of_profile =
        || builder.get_config_value(&AmazonS3ConfigKey::Region).is_none().then_some(profile.region.clone());
    if let Some(region) = keys.region.clone().or_else(|| of_profile().flatten()) {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = &keys.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    let store = builder.with_url(&keys.url).with_client_options(options).with_retry(retry()).build();
    let sought = format!("{}, {}", words::sought(words::AMAZON), profile.sought());
    Ok((Box::new(store.map_err(|error| in_words(&error))?), sought))
}

fn gcs(keys: &ObjectStore, options: ClientOptions) -> Result<Box<dyn Store>, Error> {
    let mut builder = GoogleCloudStorageBuilder::from_env().with_url(&keys.url);
    if let Some(endpoint) = &keys.endpoint {
        builder = builder.with_config(GoogleConfigKey::BaseUrl, endpoint);
    }
    Ok(Box::new(builder.with_client_options(options).with_retry(retry()).build()?))
}

fn azure(keys: &ObjectStore, options: ClientOptions) -> Result<Box<dyn Store>, Error> {
    let mut builder = MicrosoftAzureBuilder::from_env().with_url(&keys.url);
    if let Some(endpoint) = &keys.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    Ok(Box::new(builder.with_client_options(options).with_retry(retry()).build()?))
}

fn http(location: &Location, options: ClientOptions) -> Result<Box<dyn Store>, Error> {
    let server = &location.url[..url::Position::BeforePath];
    Ok(Box::new(HttpBuilder::new().with_url(server).with_client_options(options).with_retry(retry()).build()?))
}
